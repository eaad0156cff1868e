/** Wildcards of COPY, ADD and rm: Go's `filepath.Match` over a walk (tonistiigi/fsutil copy.go `ResolveWildcards`). */
import type { FileTree, TreePath } from '../../contracts/index.ts';
import { compileGlob } from '../../pattern/index.ts';
import { cleanPath, joinPath, resolvePath } from './path.ts';

/**
 * The paths that `path` (absolute) means in `tree`, as named: below the link-free form of the part before the first
 * wildcard, names in byte order. A directory that matches is not searched further.
 *
 * @returns The cleaned path itself when it holds no wildcard; undefined when the part before the wildcard is not there.
 *   Errors: `dockerfile` for a malformed pattern.
 */
export async function expandWildcards(
  tree: FileTree,
  path: string,
  followLinks: boolean,
): Promise<readonly string[] | undefined> {
  const names = cleanPath(path).slice(1).split('/');
  const first = names.findIndex(hasWildcard);
  if (first < 0) return [cleanPath(path)];
  const from = await resolvePath(tree, names.slice(0, first).join('/'), followLinks);
  if (from.entry === undefined) return undefined;
  if (from.entry.type !== 'directory') return [];
  const patterns = names.slice(first);
  const found: TreePath[] = [];
  // A negated class matches `/` in Go, so that only patterns without classes can be taken name by name.
  if (patterns.some((pattern) => pattern.includes('['))) await matchWalk(tree, from.path, patterns.join('/'), found);
  else await matchNames(tree, from.path, patterns.map(toMatcher), found);
  return found.map((at) => `/${at}`);
}

/** True when a name holds `*`, `?` or `[` that is not escaped. */
export function hasWildcard(name: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(name);
}

interface NameMatcher {
  readonly literal: string | undefined;
  readonly matches: (name: string) => boolean;
}

function toMatcher(pattern: string): NameMatcher {
  const literal = /[*?[\\]/.test(pattern) ? undefined : pattern;
  return { literal, matches: compileGlob(pattern) };
}

async function matchNames(
  tree: FileTree,
  directory: TreePath,
  matchers: readonly NameMatcher[],
  found: TreePath[],
): Promise<void> {
  const [matcher, ...rest] = matchers;
  if (matcher === undefined) return;
  if (matcher.literal !== undefined) {
    const path = joinPath(directory, matcher.literal);
    if (rest.length > 0) await matchNames(tree, path, rest, found);
    else if ((await tree.lookup(path)) !== undefined) found.push(path);
    return;
  }
  for (const name of (await tree.list(directory)) ?? []) {
    if (!matcher.matches(name)) continue;
    const path = joinPath(directory, name);
    if (rest.length === 0) found.push(path);
    else await matchNames(tree, path, rest, found);
  }
}

async function matchWalk(tree: FileTree, directory: TreePath, pattern: string, found: TreePath[]): Promise<void> {
  const matches = compileGlob(pattern);
  const from = directory === '' ? 0 : directory.length + 1;
  let skip: string | undefined;
  for (const [path, entry] of await tree.walk(directory)) {
    if (skip !== undefined && path.startsWith(skip)) continue;
    if (!matches(path.slice(from))) continue;
    found.push(path);
    if (entry.type === 'directory') skip = `${path}/`;
  }
}
