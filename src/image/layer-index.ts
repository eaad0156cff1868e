/** Trees of layers once they are there: a layer is part of many views, as that of each stage of a chain. */
import type { Layer } from '../contracts/index.ts';
import { indexTree } from './tree-index.ts';
import type { TreeIndex } from './tree-index.ts';

const loaded = new WeakMap<Layer, TreeIndex>();
const loading = new WeakMap<Layer, Promise<TreeIndex>>();

/** Without waiting; undefined when nobody has asked yet. */
export function loadedIndex(layer: Layer): TreeIndex | undefined {
  return loaded.get(layer);
}

/** Asks for a layer's tree, once. */
export function loadIndex(layer: Layer): Promise<TreeIndex> {
  const started = loading.get(layer);
  if (started !== undefined) return started;
  const begun = (async () => {
    const index = indexTree(await layer.tree());
    loaded.set(layer, index);
    return index;
  })();
  loading.set(layer, begun);
  // A failed pull may be tried again.
  begun.catch(() => loading.delete(layer));
  return begun;
}
