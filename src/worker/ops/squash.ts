import type { Snapshot } from '../../contracts/index.ts';
import { digestOf, snapshotOf } from '../../image/index.ts';
import { diffTrees } from './diff.ts';
import { localBlob, saveFileLayer } from './file-layer.ts';
import type { LayerDeps } from './file-layer.ts';

/**
 * All layers above the lowest `keep` as one, which holds what they come to and nothing that a later one of them removed
 * or wrote over. The same layers give the same layer again while it is here; the layers themselves stay in the cache.
 */
export async function squashLayers(snapshot: Snapshot, keep: number, deps: LayerDeps): Promise<Snapshot> {
  const { layers, files } = snapshot;
  if (layers.length - keep < 2) return snapshot;
  const { store, sources } = deps;
  const below = layers.slice(0, keep);
  const fact = `squash ${digestOf([String(keep), ...layers.map(({ id }) => id)].join(' '))}`;
  const known = store.readFact(fact);
  if (known !== undefined && store.layer(known)?.hasTree === true && localBlob(store, known) !== undefined)
    return snapshotOf([...below, sources.storeLayer(known)]);
  const staged = await diffTrees(snapshotOf(below).files, files);
  if (staged.tree.size === 0) return snapshotOf(below);
  const layer = await saveFileLayer(staged, deps);
  store.writeFact(fact, layer.id);
  return snapshotOf([...below, layer]);
}
