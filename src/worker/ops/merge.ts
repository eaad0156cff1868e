/** MergeOp and DiffOp: layers put on one another, or taken off (BuildKit: solver/llbsolver/ops/{merge,diff}.go). */
import type { Layer, Snapshot } from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import { diffTrees } from './diff.ts';
import { saveFileLayer } from './file-layer.ts';
import type { LayerDeps } from './file-layer.ts';

/** The inputs' chains stacked, first below. */
export function mergeSnapshots(inputs: readonly (Snapshot | undefined)[]): Snapshot {
  let chain: readonly Layer[] = [];
  for (const input of inputs) {
    const layers = input?.layers ?? [];
    chain = isPrefix(chain, layers) ? layers : stack(chain, layers);
  }
  return snapshotOf(chain);
}

/**
 * A layer that is there already moves up: what it says, it says again from its new place, and an overlay takes each
 * directory only once.
 */
function stack(below: readonly Layer[], above: readonly Layer[]): readonly Layer[] {
  const again = new Set(above.map((layer) => layer.id));
  return [...below.filter((layer) => !again.has(layer.id)), ...above];
}

/** What `upper` has beyond `lower`: its own layers where it was built on `lower`, else one computed layer. */
export async function diffSnapshots(
  lower: Snapshot | undefined,
  upper: Snapshot | undefined,
  deps: LayerDeps,
): Promise<Snapshot> {
  const from = lower ?? snapshotOf([]);
  const to = upper ?? snapshotOf([]);
  if (!from.inPlace && !to.inPlace && isPrefix(from.layers, to.layers)) {
    return snapshotOf(to.layers.slice(from.layers.length));
  }
  return snapshotOf([await saveFileLayer(await diffTrees(from.files, to.files), deps)]);
}

function isPrefix(lower: readonly Layer[], upper: readonly Layer[]): boolean {
  return lower.length <= upper.length && lower.every((layer, i) => layer.id === upper[i]?.id);
}
