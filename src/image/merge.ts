/** Directories of several layers as one: overlay's rules on trees at hand. */
import type { NodeEntry, TreePath } from '../contracts/index.ts';
import { compareTreePaths } from '../store/index.ts';
import { IMPLICIT_DIRECTORY } from './layer-tree-builder.ts';
import { hidesBelow } from './tree-index.ts';
import type { TreeIndex, TreeNode } from './tree-index.ts';

export interface MergedEntry {
  readonly path: TreePath;
  readonly entry: NodeEntry;
  /** The layer that the entry comes from. */
  readonly index: TreeIndex;
}

/** A directory as one layer has it. */
interface Part {
  readonly node: TreeNode;
  readonly index: TreeIndex;
}

/** Names in the directory `path`, bytewise. `indexes`: newest first. */
export function listMerged(indexes: readonly TreeIndex[], path: TreePath): readonly string[] {
  return children(partsOf(indexes, path)).map(({ name }) => name);
}

/** All below the directory `path`, in tree order. `indexes`: newest first. */
export function* walkMerged(indexes: readonly TreeIndex[], path: TreePath): Generator<MergedEntry> {
  const stack: { readonly list: readonly Child[]; at: number }[] = [{ list: children(partsOf(indexes, path)), at: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const child = top.list[top.at++];
    if (child === undefined) {
      stack.pop();
      continue;
    }
    yield child.merged;
    if (child.parts.length > 0) stack.push({ list: children(child.parts), at: 0 });
  }
}

/** The layers' shares in a directory, newest first, down to the layer that hides the rest. */
function partsOf(indexes: readonly TreeIndex[], path: TreePath): readonly Part[] {
  const parts: Part[] = [];
  for (const index of indexes) {
    const node = index.directories.get(path);
    const entry = index.tree.get(path);
    if (node !== undefined) parts.push({ node, index });
    else if (entry !== undefined) break;
    if (entry?.type === 'directory' && entry.opaque === true) break;
    if (hidesBelow(index, path)) break;
  }
  return parts;
}

interface Child {
  readonly name: string;
  readonly merged: MergedEntry;
  /** For directories, the layers' shares, newest first. */
  readonly parts: readonly Part[];
}

const NO_PARTS: readonly Part[] = [];

function children(parts: readonly Part[]): readonly Child[] {
  const [only] = parts;
  if (only === undefined) return [];
  // Most directories are one layer's own.
  return parts.length === 1 ? childrenOfOne(only) : childrenOfMany(parts);
}

function childrenOfOne({ node, index }: Part): readonly Child[] {
  const found: Child[] = [];
  for (const child of node.children ?? []) {
    const { name, path, entry } = child;
    if (child.children !== undefined) {
      const merged = { path, entry: directoryEntry(child), index };
      found.push({ name, merged, parts: [{ node: child, index }] });
    } else if (entry !== undefined && entry.type !== 'whiteout') {
      found.push({ name, merged: { path, entry, index }, parts: NO_PARTS });
    }
  }
  return found;
}

/** A name that layers disagree on, while it is put together from the newest down. */
interface Open {
  readonly name: string;
  readonly path: TreePath;
  parts: Part[];
  leaf: MergedEntry | undefined;
  settled: boolean;
}

function childrenOfMany(parts: readonly Part[]): readonly Child[] {
  const byName = new Map<string, Open>();
  for (const { node, index } of parts) {
    for (const child of node.children ?? []) {
      const { name, path, entry } = child;
      let open = byName.get(name);
      if (open === undefined) byName.set(name, (open = { name, path, parts: [], leaf: undefined, settled: false }));
      if (open.settled) continue;
      if (child.children !== undefined) {
        open.parts.push({ node: child, index });
        open.settled = entry?.type === 'directory' && entry.opaque === true;
      } else {
        open.settled = true;
        if (open.parts.length === 0 && entry !== undefined && entry.type !== 'whiteout')
          open.leaf = { path, entry, index };
      }
    }
  }
  const found: Child[] = [];
  for (const { name, path, parts: own, leaf } of byName.values()) {
    const [newest] = own;
    if (leaf !== undefined) found.push({ name, merged: leaf, parts: NO_PARTS });
    else if (newest !== undefined) {
      const { node, index } = own.find((part) => part.node.entry !== undefined) ?? newest;
      found.push({ name, merged: { path, entry: directoryEntry(node), index }, parts: own });
    }
  }
  return found.sort((a, b) => compareTreePaths(a.name, b.name));
}

function directoryEntry({ entry }: TreeNode): NodeEntry {
  return entry?.type === 'directory' ? entry : IMPLICIT_DIRECTORY;
}
