import type { TreePath } from '../../contracts/index.ts';
import { stampOf } from '../../image/index.ts';
import type { MountEntry, MountIndex, ScannedMount, SyncedState } from '../../image/index.ts';

/** What has to be done to a directory so that it has what another machine added. */
export interface MergePlan {
  /** To make, parents first; whatever file or link is there goes. */
  readonly write: readonly TreePath[];
  /** To remove, children first. */
  readonly remove: readonly TreePath[];
  /** Files and links that are, or will be, as the index says. */
  readonly inStep: readonly TreePath[];
}

/**
 * Three ways: what changed there since both were last in step comes over, what changed here stays. Without a common past all that is here
 * stays, and what is missing comes.
 */
export function planMerge(local: ScannedMount, base: SyncedState | undefined, remote: MountIndex): MergePlan {
  const write = new Set<TreePath>();
  const inStep: TreePath[] = [];
  /** Directories there that are something else here. */
  const blocked = new Set<TreePath>();

  const isUntouched = (path: TreePath): boolean => {
    const here = local.get(path);
    return here !== undefined && base?.stamps.get(path) === stampOf(here.stat);
  };
  const need = (path: TreePath): void => {
    for (let at = parentOf(path); at !== undefined && !local.has(at); at = parentOf(at)) write.add(at);
    write.add(path);
  };

  for (const [path, entry] of remote.entries) {
    const parent = parentOf(path);
    const here = local.get(path);
    const before = base?.index.entries.get(path);
    if (parent !== undefined && blocked.has(parent)) {
      if (entry.type === 'directory') blocked.add(path);
    } else if (entry.type === 'directory') {
      if (here === undefined) {
        if (before === undefined) need(path);
      } else if (here.stat.type !== 'directory') blocked.add(path);
    } else if (here === undefined) {
      // Removed here since, unless it is another by now.
      if (before !== undefined && isSame(before, entry)) continue;
      need(path);
      inStep.push(path);
    } else if (isUntouched(path)) {
      if (before === undefined || !isSame(before, entry)) write.add(path);
      inStep.push(path);
    }
  }

  const gone: TreePath[] = [];
  for (const [path, entry] of base?.index.entries ?? []) {
    if (path === '' || remote.entries.has(path)) continue;
    const here = local.get(path);
    if (here === undefined) continue;
    if (entry.type === 'directory' ? here.stat.type === 'directory' : isUntouched(path)) gone.push(path);
  }
  return { write: [...write].sort(byDepth), remove: gone.reverse(), inStep };
}

/** Everything, into an empty directory. */
export function planAll(remote: MountIndex): MergePlan {
  const paths = [...remote.entries.keys()].filter((path) => path !== '');
  return { write: paths, remove: [], inStep: paths.filter((path) => remote.entries.get(path)?.type !== 'directory') };
}

/** Times apart: a file that was only touched is the same. */
function isSame(a: MountEntry, b: MountEntry): boolean {
  if (a.type !== b.type || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (a.type === 'file' && b.type === 'file') return a.digest === b.digest;
  return a.type !== 'symlink' || b.type !== 'symlink' || a.target === b.target;
}

function parentOf(path: TreePath): TreePath | undefined {
  return path === '' ? undefined : path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function byDepth(a: TreePath, b: TreePath): number {
  return a.split('/').length - b.split('/').length;
}
