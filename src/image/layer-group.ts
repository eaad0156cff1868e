/**
 * Long stacks of small layers, as chains of stages have them, in groups: that none of a group says anything of a path is
 * one look-up, not one for each layer.
 */
import type { TreePath } from '../contracts/index.ts';
import type { TreeIndex } from './tree-index.ts';

export const GROUP_SIZE = 32;
/** Entries of a group: large trees are few, and their paths not worth to be held twice. */
const ENTRIES_MAX = 4096;

interface Group {
  readonly indexes: readonly TreeIndex[];
  /** What any of them has an entry for, or entries in. */
  readonly paths: ReadonlySet<TreePath>;
  /** Those that hide all below them in lower layers. */
  readonly covers: ReadonlySet<TreePath>;
}

/** By the newest layer of it. */
const groups = new WeakMap<TreeIndex, Group | 'too-large'>();

/**
 * Whether the group that ends with layer `top` says nothing of `path`; false also where there is no such group.
 *
 * @param indexes Of a stack, bottom to top, undefined where not loaded.
 */
export function isSilent(indexes: readonly (TreeIndex | undefined)[], top: number, path: TreePath): boolean {
  if ((top + 1) % GROUP_SIZE !== 0) return false;
  const group = groupOf(indexes.slice(top + 1 - GROUP_SIZE, top + 1));
  if (group === undefined || group.paths.has(path)) return false;
  if (group.covers.size === 0) return true;
  for (let parent = path; parent !== '';) {
    parent = parent.slice(0, Math.max(0, parent.lastIndexOf('/')));
    if (group.covers.has(parent)) return false;
  }
  return true;
}

function groupOf(wanted: readonly (TreeIndex | undefined)[]): Group | undefined {
  const top = wanted.at(-1);
  const known = top === undefined ? undefined : groups.get(top);
  if (known === 'too-large') return undefined;
  if (known?.indexes.every((index, i) => index === wanted[i]) === true) return known;
  const indexes = wanted.filter((index) => index !== undefined);
  if (top === undefined || indexes.length < GROUP_SIZE) return undefined;
  const made = makeGroup(indexes);
  groups.set(top, made);
  return made === 'too-large' ? undefined : made;
}

function makeGroup(indexes: readonly TreeIndex[]): Group | 'too-large' {
  if (indexes.reduce((sum, { tree }) => sum + tree.size, 0) > ENTRIES_MAX) return 'too-large';
  const paths = new Set<TreePath>();
  const covers = new Set<TreePath>();
  for (const { tree, directories } of indexes) {
    for (const path of directories.keys()) if (path !== '') paths.add(path);
    for (const [path, entry] of tree) {
      paths.add(path);
      if (entry.type !== 'directory' || entry.opaque === true) covers.add(path);
    }
  }
  return { indexes, paths, covers };
}
