import type { LayerId, TreePath } from '../../contracts/index.ts';
import type { StoreLayout } from '../../store/index.ts';
import { implicitCorrections, writeCorrections } from './implicit.ts';

export interface LayerSource {
  readonly layout: StoreLayout;
  implicitOf(id: LayerId): ReadonlySet<TreePath>;
}

/**
 * The directories that show these layers when merged, bottom to top: their own, and on top, where it takes one, a layer
 * that puts implicit directories right (`implicit.ts`).
 *
 * @param scratch Makes the place for that layer.
 */
export function viewLayers(ids: readonly LayerId[], source: LayerSource, scratch: () => string): readonly string[] {
  const directories = ids.map((id) => source.layout.layerDir(id));
  // The lowest layer has nothing below it to be wrong about.
  if (!ids.some((id, index) => index > 0 && source.implicitOf(id).size > 0)) return directories;
  const layers = ids.map((id) => ({ directory: source.layout.layerDir(id), implicit: source.implicitOf(id) }));
  const corrections = implicitCorrections(layers);
  if (corrections.length === 0) return directories;
  const top = scratch();
  writeCorrections(top, layers, corrections);
  return [...directories, top];
}
