import type { Layer, TreeEntry, TreePath } from '../../contracts/index.ts';
import { entryTarget, xattrsDigest } from '../../image/index.ts';
import type { FileDifference } from '../../solver/index.ts';

type Contents = Pick<Layer, 'tree' | 'digests'>;

/**
 * What differs between two layers: types, modes, owners, links, extended attributes, content. Times do not count, as they
 * differ whenever a step runs.
 */
export async function compareLayers(before: Contents, after: Contents): Promise<readonly FileDifference[]> {
  const [a, b] = [await before.tree(), await after.tree()];
  const differences: FileDifference[] = [];
  const files: TreePath[] = [];
  for (const [path, entry] of b) {
    const other = a.get(path);
    if (other === undefined) {
      differences.push({ change: 'added', path });
      continue;
    }
    differences.push(...compareEntries(path, other, entry));
    if (isContent(entry) && isContent(other)) files.push(path);
  }
  for (const path of a.keys()) if (!b.has(path)) differences.push({ change: 'removed', path });
  // Trees of commands have no digests before somebody asks.
  const [own, theirs] = [await before.digests(files), await after.digests(files)];
  for (const [i, path] of files.entries()) {
    if (own[i] !== theirs[i]) {
      differences.push({ change: 'changed', path, from: own[i]?.slice(7, 23), to: theirs[i]?.slice(7, 23) });
    }
  }
  return differences.sort((x, y) => (x.path < y.path ? -1 : x.path > y.path ? 1 : 0));
}

function isContent(entry: TreeEntry): boolean {
  return entry.type === 'file' && entry.hardlink === undefined;
}

function compareEntries(path: TreePath, a: TreeEntry, b: TreeEntry): readonly FileDifference[] {
  if (typeOf(a) !== typeOf(b)) return [{ change: 'type', path, from: typeOf(a), to: typeOf(b) }];
  if (a.type === 'whiteout' || b.type === 'whiteout') return [];
  const found: FileDifference[] = [];
  const compare = (change: FileDifference['change'], from: string | undefined, to: string | undefined): void => {
    if (from !== to) found.push({ change, path, from, to });
  };
  compare('target', entryTarget(a), entryTarget(b));
  if (a.type !== 'symlink') compare('mode', a.mode.toString(8), b.mode.toString(8));
  compare('owner', `${a.uid}:${a.gid}`, `${b.uid}:${b.gid}`);
  compare('xattrs', xattrsDigest(a.xattrs), xattrsDigest(b.xattrs));
  return found;
}

/** An opaque directory hides what is below it: it is another thing than a directory. */
function typeOf(entry: TreeEntry): string {
  return entry.type === 'directory' && entry.opaque === true ? 'opaque directory' : entry.type;
}
