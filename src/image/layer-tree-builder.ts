/**
 * Entries of a layer's tar, in their order, to the layer's tree. What later entries do to earlier ones is what
 * containerd (pkg/archive/tar.go, applyNaive) does to files: the last of a name wins, two directories of a name merge, a
 * path through a symbolic link of the same layer leads where the link leads, inside the root.
 */
import { BuildError } from '../contracts/index.ts';
import type { Digest, DirectoryEntry, FileEntry, NodeEntry, Tree, TreeEntry, TreePath } from '../contracts/index.ts';
import { compareTreePaths } from '../store/index.ts';
import { PATH_MAX, layerNameOf, treePathOf } from './layer-path.ts';
import type { TarHeader } from './tar/types.ts';

/** Links followed for one path, as Linux. */
const LINKS_MAX = 40;
/** Entries looked at to forget what lay below replaced directories. Archives at hand replace none or a few. */
const REPLACED_MAX = 50_000_000;

/** One file, whatever its number of names. */
interface Inode {
  entry: NodeEntry;
}

/** A directory that nothing says anything about (containerd: mkparent). */
export const IMPLICIT_DIRECTORY: DirectoryEntry = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: 0,
  mtimeNsec: 0,
};

export class LayerTreeBuilder {
  readonly #inodes = new Map<TreePath, Inode>();
  readonly #whiteouts = new Set<TreePath>();
  readonly #opaque = new Set<TreePath>();
  /** Directories that entries lie in, with or without an entry of their own. */
  readonly #parents = new Set<TreePath>(['']);
  #replaced = 0;

  /**
   * Adds an entry. For a regular file returns where it will be, to be given its digest by {@link setDigest}.
   * @throws BuildError `hostile` for names that lead out of the layer and links that lead nowhere.
   */
  add(header: TarHeader): TreePath | undefined {
    const name = layerNameOf(header.name);
    if (name.kind === 'ignored') return undefined;
    if (name.kind === 'opaque') {
      this.#opaque.add(this.#resolve(name.path));
      return undefined;
    }
    // The root itself is not the layer's to change, as to containerd.
    if (name.path === '') {
      if (header.type === 'directory') return undefined;
      throw hostile(`the entry ${JSON.stringify(header.name)} would replace the root`);
    }
    const path = this.#place(name.path);
    if (name.kind === 'whiteout') {
      this.#whiteouts.add(path);
      return undefined;
    }
    const inode = header.type === 'hardlink' ? this.#linked(header, path) : { entry: entryOf(header) };
    if (header.target.length > PATH_MAX)
      throw hostile(`the link ${JSON.stringify(name.path)} is longer than any can be`);
    const isDirectory = inode.entry.type === 'directory';
    if (!isDirectory || this.#inodes.get(path)?.entry.type !== 'directory') this.#remove(path, isDirectory);
    this.#inodes.set(path, inode);
    this.#addParents(path);
    return header.type === 'file' ? path : undefined;
  }

  setDigest(path: TreePath, digest: Digest): void {
    const inode = this.#inodes.get(path);
    if (inode?.entry.type === 'file') inode.entry = { ...inode.entry, digest };
  }

  build(): Tree {
    const found = new Map<TreePath, TreeEntry>();
    for (const [path, { entry }] of this.#inodes) found.set(path, entry);
    for (const path of this.#whiteouts) this.#applyWhiteout(found, path);
    for (const path of this.#opaque) {
      const entry = found.get(path);
      // A link or file in the place of the directory hides lower layers by itself.
      if (entry === undefined || entry.type === 'whiteout') found.set(path, { ...IMPLICIT_DIRECTORY, opaque: true });
      else if (entry.type === 'directory') found.set(path, { ...entry, opaque: true });
    }
    return this.#linkNames(sorted(found));
  }

  /** A whiteout and an entry of one name: the entry is new, and nothing of lower layers shows in it. */
  #applyWhiteout(found: Map<TreePath, TreeEntry>, path: TreePath): void {
    const parent = found.get(parentOf(path));
    if (parent !== undefined && parent.type !== 'directory') return;
    const entry = found.get(path);
    if (entry?.type === 'directory') found.set(path, { ...entry, opaque: true });
    else if (entry === undefined && this.#parents.has(path)) found.set(path, { ...IMPLICIT_DIRECTORY, opaque: true });
    else if (entry === undefined) found.set(path, { type: 'whiteout' });
  }

  /** Every name of a file but the first in tree order points to the first. */
  #linkNames(tree: Map<TreePath, TreeEntry>): Tree {
    const first = new Map<Inode, TreePath>();
    for (const path of tree.keys()) {
      const inode = this.#inodes.get(path);
      if (inode?.entry.type !== 'file') continue;
      const target = first.get(inode);
      if (target === undefined) first.set(inode, path);
      else tree.set(path, { ...inode.entry, hardlink: target });
    }
    return tree;
  }

  #linked(header: TarHeader, path: TreePath): Inode {
    const wanted = treePathOf(header.target);
    const target = wanted === '' ? '' : this.#place(wanted);
    const inode = this.#inodes.get(target);
    if (
      target === path ||
      target === '' ||
      (inode === undefined ? this.#parents.has(target) : inode.entry.type === 'directory')
    ) {
      throw hostile(
        `the hard link ${JSON.stringify(header.name)} leads to ${JSON.stringify(header.target)}, which is no file`,
      );
    }
    if (inode === undefined) {
      // To containerd it is a name for a file of a layer below. No builder makes such layers: overlay copies the file up.
      throw hostile(
        `the hard link ${JSON.stringify(header.name)} leads to ${JSON.stringify(header.target)}, which is not in its layer`,
      );
    }
    return inode.entry.type === 'file' ? inode : { entry: inode.entry };
  }

  /** `path` with its directory resolved. */
  #place(path: TreePath): TreePath {
    const slash = path.lastIndexOf('/');
    if (slash === -1) return path;
    const directory = path.slice(0, slash);
    if (this.#isDirectory(directory)) return path;
    const resolved = this.#resolve(directory);
    return resolved === '' ? path.slice(slash + 1) : `${resolved}${path.slice(slash)}`;
  }

  /** A directory with the links of this layer followed; they lead nowhere but below the root. */
  #resolve(directory: TreePath): TreePath {
    if (this.#isDirectory(directory)) return directory;
    const todo = directory.split('/').reverse();
    const at: string[] = [];
    let links = 0;
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at.pop();
        continue;
      }
      at.push(part);
      const entry = this.#inodes.get(at.join('/'))?.entry;
      if (entry === undefined || entry.type === 'directory') continue;
      if (entry.type !== 'symlink')
        throw hostile(`an entry lies in ${JSON.stringify(at.join('/'))}, which is no directory`);
      if (++links > LINKS_MAX) throw hostile(`too many links on the way to ${JSON.stringify(directory)}`);
      if (entry.target.startsWith('/')) at.length = 0;
      else at.pop();
      todo.push(...entry.target.split('/').reverse());
    }
    return at.join('/');
  }

  /** Known directories have known directories above them. */
  #isDirectory(path: TreePath): boolean {
    return this.#parents.has(path) || this.#inodes.get(path)?.entry.type === 'directory';
  }

  #addParents(path: TreePath): void {
    for (let parent = parentOf(path); !this.#parents.has(parent); parent = parentOf(parent)) this.#parents.add(parent);
  }

  /** Forgets what is at `path` and, unless a directory takes its place, what lies below it. */
  #remove(path: TreePath, keepBelow: boolean): void {
    this.#inodes.delete(path);
    if (keepBelow || !this.#parents.has(path)) return;
    const prefix = `${path}/`;
    this.#parents.delete(path);
    this.#replaced += this.#inodes.size + this.#parents.size;
    if (this.#replaced > REPLACED_MAX) throw hostile('directories are replaced over and over again');
    for (const paths of [this.#parents, this.#whiteouts, this.#opaque, this.#inodes]) {
      for (const below of paths.keys()) if (below.startsWith(prefix)) paths.delete(below);
    }
  }
}

function entryOf(header: TarHeader): NodeEntry {
  const { mode, uid, gid, mtime, mtimeNsec, xattrs } = header;
  const meta =
    xattrs === undefined ? { mode, uid, gid, mtime, mtimeNsec } : { mode, uid, gid, mtime, mtimeNsec, xattrs };
  switch (header.type) {
    case 'file':
    case 'hardlink':
      return fileOf(header);
    case 'symlink':
      return { type: 'symlink', ...meta, target: header.target };
    case 'char-device':
    case 'block-device':
      return { type: header.type, ...meta, major: header.major, minor: header.minor };
    case 'directory':
    case 'fifo':
      return { type: header.type, ...meta };
  }
}

function fileOf({ mode, uid, gid, mtime, mtimeNsec, xattrs, size }: TarHeader): FileEntry {
  const file = { type: 'file' as const, mode, uid, gid, mtime, mtimeNsec, size };
  return xattrs === undefined ? file : { ...file, xattrs };
}

function parentOf(path: TreePath): TreePath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** In tree order; most tars are in it already. */
function sorted(tree: Map<TreePath, TreeEntry>): Map<TreePath, TreeEntry> {
  let before: TreePath | undefined;
  for (const path of tree.keys()) {
    if (before !== undefined && compareTreePaths(before, path) > 0) {
      return new Map([...tree].sort(([a], [b]) => compareTreePaths(a, b)));
    }
    before = path;
  }
  return tree;
}

function hostile(message: string): BuildError {
  return new BuildError({ code: 'hostile', message });
}
