/**
 * Paths of file ops, and how they are found in a tree: lexically cleaned, never above the root, symbolic links followed
 * inside it (containerd/continuity `fs.RootPath`, which BuildKit's file ops use throughout).
 */
import { BuildError } from '../../contracts/index.ts';
import type { NodeEntry, TreePath } from '../../contracts/index.ts';

/** As many links as one path may lead through (continuity fs/path.go). */
const MAX_LINKS = 255;

/** What resolving needs of a tree. */
export interface Lookup {
  lookup(path: TreePath): Promise<NodeEntry | undefined>;
}

/** Go's `filepath.Join("/", path)`: absolute, cleaned, `..` clamped at the root. */
export function cleanPath(path: string): string {
  return `/${components(path).join('/')}`;
}

/** As {@link cleanPath}, but a trailing `/` or `/.` stays: it says that a destination is a directory. */
export function cleanDestination(path: string): string {
  const cleaned = cleanPath(path);
  const root = cleaned === '/';
  if (path.endsWith('/.')) return root ? '/.' : `${cleaned}/.`;
  return path.endsWith('/') && !root ? `${cleaned}/` : cleaned;
}

/** Names of the cleaned path, without `.`, with `..` taken back. */
function components(path: string): string[] {
  const out: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') out.pop();
    else if (part !== '' && part !== '.') out.push(part);
  }
  return out;
}

/** The tree form of an absolute path. */
export function treePath(path: string): TreePath {
  return components(path).join('/');
}

/** Everything through the last slash, and the rest (Go's `filepath.Split`). */
export function splitPath(path: string): readonly [directory: string, file: string] {
  const at = path.lastIndexOf('/') + 1;
  return [path.slice(0, at), path.slice(at)];
}

/** Last name of a path without its trailing slashes; `''` for the root. */
export function baseName(path: string): string {
  return components(path).at(-1) ?? '';
}

export function parentPath(path: TreePath): TreePath {
  const at = path.lastIndexOf('/');
  return at < 0 ? '' : path.slice(0, at);
}

export function joinPath(directory: TreePath, name: string): TreePath {
  return directory === '' ? name : name === '' ? directory : `${directory}/${name}`;
}

/** Where a path leads. */
export interface Resolved {
  /** Free of links up to the last name, and there too when the last link was to be followed. */
  readonly path: TreePath;
  /** Absent when nothing is there. */
  readonly entry: NodeEntry | undefined;
  /** A component before the last that is there but is no directory. */
  readonly notDirectory: TreePath | undefined;
}

/**
 * Finds `path` in `tree` with links followed inside the root; the last name's link only when `followLast`.
 * A missing part is taken literally, so that it can be created.
 */
export async function resolvePath(tree: Lookup, path: string, followLast = true): Promise<Resolved> {
  let rest = components(path);
  let at: TreePath = '';
  let links = 0;
  let entry: NodeEntry | undefined;
  if (rest.length === 0) return { path: '', entry: (await tree.lookup('')) ?? ROOT, notDirectory: undefined };
  for (let i = 0; i < rest.length; i++) {
    const last = i === rest.length - 1;
    const candidate = joinPath(at, rest[i] ?? '');
    entry = await tree.lookup(candidate);
    if (entry?.type === 'symlink' && (followLast || !last)) {
      if (++links > MAX_LINKS) {
        throw new BuildError({ code: 'copy', message: `too many symbolic links in ${cleanPath(path)}` });
      }
      // The text is joined and cleaned before it is walked, as continuity does: `..` takes back a name, not what a link led to.
      const target = entry.target.startsWith('/') ? entry.target : `${at}/${entry.target}`;
      rest = [...components(target), ...rest.slice(i + 1)];
      if (rest.length === 0) return { path: '', entry: (await tree.lookup('')) ?? ROOT, notDirectory: undefined };
      at = '';
      i = -1;
      continue;
    }
    at = candidate;
    if (last) break;
    if (entry === undefined || entry.type !== 'directory') {
      const tail = rest.slice(i + 1).join('/');
      return { path: joinPath(at, tail), entry: undefined, notDirectory: entry === undefined ? undefined : at };
    }
  }
  return { path: at, entry, notDirectory: undefined };
}

/** A tree need not hold its root; it is there all the same. */
const ROOT: NodeEntry = { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0 };

/** For a destination: the path, unless a component of it is no directory. */
export async function resolveDestination(tree: Lookup, path: string): Promise<Resolved> {
  const resolved = await resolvePath(tree, path);
  if (resolved.notDirectory !== undefined) throw notDirectory(resolved.notDirectory);
  return resolved;
}

export function notDirectory(path: TreePath): BuildError {
  return new BuildError({ code: 'copy', message: `/${path} is not a directory`, hint: 'Choose another destination.' });
}
