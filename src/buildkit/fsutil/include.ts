/**
 * Which paths of a context a daemon wants: `include-patterns` and `followpaths` (fsutil, filter.go and followlinks.go).
 * Followed paths are those that instructions name; links on the way are followed, so that what they lead to comes too.
 */
import type { FileTree, TreePath } from '../../contracts/index.ts';
import { compilePatterns, matchPattern } from '../../pattern/index.ts';

export interface Inclusion {
  readonly has: (path: TreePath) => boolean;
  /** False when nothing below this directory can be wanted. */
  readonly mayHaveBelow: (path: TreePath) => boolean;
}

/** Undefined = everything. */
export async function inclusion(
  tree: FileTree,
  includes: readonly string[],
  followPaths: readonly string[],
): Promise<Inclusion | undefined> {
  const followed = followPaths.length === 0 ? [] : await followLinks(tree, followPaths);
  const patterns = [...includes, ...(followed ?? [])];
  // The root among the followed paths wants everything, unless patterns were given too.
  if (patterns.length === 0) return undefined;
  const matcher = compilePatterns(patterns);
  const prefixes = patterns.filter((pattern) => !pattern.startsWith('!')).map(fixedPart);
  return {
    has: (path) => matcher.matches(path),
    mayHaveBelow: (path) =>
      matcher.matches(path) ||
      prefixes.some(
        (prefix) => prefix.whole.startsWith(`${path}/`) || (prefix.open && `${path}/`.startsWith(prefix.fixed)),
      ),
  };
}

interface Prefix {
  /** The pattern, cleaned. */
  readonly whole: string;
  /** Up to its first wildcard's directory; what is below may match. */
  readonly fixed: string;
  /** It has wildcards. */
  readonly open: boolean;
}

function fixedPart(pattern: string): Prefix {
  const whole = clean(pattern);
  const at = whole.search(/[*?[\\]/);
  if (at === -1) return { whole, fixed: whole, open: false };
  return { whole: whole.slice(0, at), fixed: whole.slice(0, whole.lastIndexOf('/', at) + 1), open: true };
}

/** Depth of links followed, so that a circle of them ends. */
const LINKS_MAX = 255;

/** Sorted; undefined when the root is among them. */
async function followLinks(tree: FileTree, paths: readonly string[]): Promise<readonly string[] | undefined> {
  const resolved = new Set<string>();
  for (const path of paths) await follow(tree, path, resolved, 0);
  if (resolved.has('')) return undefined;
  const sorted = [...resolved].sort();
  return sorted.filter((path, i) => !sorted.slice(0, i).some((above) => path.startsWith(`${above}/`)));
}

async function follow(tree: FileTree, path: string, resolved: Set<string>, depth: number): Promise<void> {
  if (depth > LINKS_MAX) return;
  const parts = clean(path).split('/');
  let current = '';
  for (const [i, part] of parts.entries()) {
    current = current === '' ? part : `${current}/${part}`;
    const rest = parts.slice(i + 1).join('/');
    const targets = await linkTargets(tree, current);
    if (targets === undefined) continue;
    if (resolved.has(current)) return;
    resolved.add(current);
    for (const target of targets) await follow(tree, rest === '' ? target : `${target}/${rest}`, resolved, depth + 1);
    return;
  }
  resolved.add(current);
}

/** Where a path leads if it is a link, or a pattern that matches links; undefined when it is none. */
async function linkTargets(tree: FileTree, path: string): Promise<readonly string[] | undefined> {
  const slash = path.lastIndexOf('/');
  const [directory, name] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
  if (!/[*?[]/.test(name)) {
    const entry = await tree.lookup(unescape(path));
    return entry?.type === 'symlink' ? [resolveLink(directory, entry.target)] : undefined;
  }
  const found: string[] = [];
  for (const other of (await tree.list(directory)) ?? []) {
    if (!matchPattern(name, other)) continue;
    const entry = await tree.lookup(directory === '' ? other : `${directory}/${other}`);
    if (entry?.type === 'symlink') found.push(resolveLink(directory, entry.target));
  }
  return found.length === 0 ? undefined : found;
}

function resolveLink(directory: string, target: string): string {
  return target.startsWith('/') ? clean(target) : clean(`${directory}/${target}`);
}

/** Relative to the root, without `.` and `..`; nothing leads above the root. */
function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

/** Patterns quote by backslash what stands for itself. */
function unescape(path: string): string {
  return path.replace(/\\(.)/g, '$1');
}
