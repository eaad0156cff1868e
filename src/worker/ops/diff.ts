import type { FileEntry, FileTree, NodeEntry, TreeEntry, TreePath } from '../../contracts/index.ts';
import { compareTreePaths } from '../../store/index.ts';
import type { Origin } from './origins.ts';
import { sameEntry } from './same-entry.ts';
import type { StagedLayer } from './staged-tree.ts';

/** A file that is in both trees with equal metadata: content decides. */
interface Candidate {
  readonly path: TreePath;
  readonly entry: FileEntry;
}

/**
 * The layer that turns `lower` into `upper`: what is new or changed, and whiteouts for what is gone. Both trees are
 * walked side by side once; content is compared only where everything else is equal. Directory times are no change.
 */
export async function diffTrees(lower: FileTree, upper: FileTree): Promise<StagedLayer> {
  const changed = new Map<TreePath, NodeEntry>();
  const gone: TreePath[] = [];
  const candidates: Candidate[] = [];
  const groups = new Map<TreePath, TreePath[]>();
  const below = (await lower.walk(''))[Symbol.iterator]();
  let left = below.next();
  /** Below these the lower tree no longer counts. */
  let hidden: string | undefined;
  const skipHidden = (): void => {
    while (left.done !== true && hidden !== undefined && left.value[0].startsWith(hidden)) left = below.next();
  };
  const takeGone = (until: TreePath | undefined): void => {
    for (;;) {
      skipHidden();
      if (left.done === true || (until !== undefined && compareTreePaths(left.value[0], until) >= 0)) return;
      gone.push(left.value[0]);
      hidden = `${left.value[0]}/`;
      left = below.next();
    }
  };
  for (const [path, entry] of await upper.walk('')) {
    takeGone(path);
    const old = left.done !== true && left.value[0] === path ? left.value[1] : undefined;
    if (old !== undefined) {
      left = below.next();
      // A directory that became something else takes all below it along.
      if (old.type === 'directory' && entry.type !== 'directory') hidden = `${path}/`;
    }
    if (entry.type === 'file') {
      const group = entry.hardlink ?? path;
      const names = groups.get(group);
      if (names === undefined) groups.set(group, [path]);
      else names.push(path);
    }
    if (old === undefined || !sameEntry(old, entry)) changed.set(path, entry);
    else if (entry.type === 'file') candidates.push({ path, entry });
  }
  takeGone(undefined);
  await compareContent(lower, upper, candidates, changed);
  return finishDiff(upper, changed, gone, groups);
}

async function compareContent(
  lower: FileTree,
  upper: FileTree,
  candidates: readonly Candidate[],
  changed: Map<TreePath, NodeEntry>,
): Promise<void> {
  const paths = candidates.map(({ path }) => path);
  const [old, now] = await Promise.all([lower.digests(paths), upper.digests(paths)]);
  candidates.forEach(({ path, entry }, i) => {
    if (old[i] !== now[i]) changed.set(path, entry);
  });
}

async function finishDiff(
  upper: FileTree,
  changed: Map<TreePath, NodeEntry>,
  gone: readonly TreePath[],
  groups: ReadonlyMap<TreePath, readonly TreePath[]>,
): Promise<StagedLayer> {
  // Names of one file change together: a layer can only link to what it holds.
  for (const names of groups.values()) {
    if (names.length < 2 || !names.some((name) => changed.has(name))) continue;
    for (const name of names) {
      const entry = await upper.lookup(name);
      if (entry !== undefined) changed.set(name, entry);
    }
  }
  const files = [...changed].filter(([, entry]) => entry.type === 'file').map(([path]) => path);
  const digests = await upper.digests(files);
  const digestOf = new Map(files.map((path, i) => [path, digests[i]]));
  const entries: [TreePath, TreeEntry][] = gone.map((path) => [path, { type: 'whiteout' }]);
  const origins = new Map<TreePath, Origin>();
  for (const [path, entry] of changed) {
    if (entry.type !== 'file') {
      entries.push([path, entry]);
      continue;
    }
    const first = groups.get(entry.hardlink ?? path)?.[0] ?? path;
    const hardlink = first === path ? undefined : first;
    entries.push([path, { ...entry, digest: digestOf.get(path), hardlink }]);
    if (hardlink === undefined) origins.set(path, { kind: 'tree', tree: upper, path });
  }
  entries.sort(([a], [b]) => compareTreePaths(a, b));
  return { tree: new Map(entries), origins };
}
