/** Layers that are known before their bytes are here: those of images, and those that a cache offers. */
import { existsSync } from 'node:fs';
import type { Digest, LayerId } from '../../contracts/index.ts';
import { isBaseLayer, noteOwnLayer, withUrlsNoted } from '../../image/index.ts';
import type { PortableBlob } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { LayerRow, Store } from '../../store/index.ts';
import { isTrusted } from '../layer-blob.ts';
import { layoutBlobPath } from './layout.ts';
import { layoutOf } from './origin.ts';
import type { FoundImage } from './resolve.ts';

type RowDeps = { readonly store: Store };

/** The row of a layer of an image: by diff ID, whoever built or pulled it first. */
export function imageLayerRow(image: FoundImage, index: number, deps: RowDeps): LayerId {
  const { store } = deps;
  const diffId = image.diffIds[index];
  const descriptor = image.manifest.layers[index];
  if (diffId === undefined || descriptor === undefined) throw new RangeError(`no layer ${index}`);
  const { mediaType, digest, size } = descriptor;
  const id = store.findLayer({ diffId }) ?? store.newLayer();
  const row = store.layer(id);
  const known = row?.blobs.find((blob) => blob.digest === digest);
  // Where the layer is at hand, another blob that an image claims to be the same could only do harm.
  if (known === undefined ? !isAtHand(row, deps) : !known.repositories.includes(image.origin)) {
    const annotations = withUrlsNoted(descriptor);
    const blob = { mediaType, digest, size, diffId, annotations, repository: image.origin };
    store.saveLayer(id, { diffId, blob });
  }
  return id;
}

/**
 * The row of a layer of ours that a cache offers. What a cache claims of a layer that images brought is not believed:
 * it would change what other builds get of them.
 *
 * @param created Milliseconds; undefined for a layer of a base image.
 */
export function cachedLayerRow(
  diffId: Digest,
  { mediaType, digest, size }: PortableBlob,
  created: number | undefined,
  origin: string,
  deps: RowDeps,
): LayerId {
  const { store } = deps;
  const known = store.findLayer({ diffId });
  const row = known === undefined ? undefined : store.layer(known);
  if (row !== undefined && (isAtHand(row, deps) || (row.blobs.length > 0 && isBaseLayer(row, store)))) return row.id;
  const id = row?.id ?? store.newLayer();
  store.saveLayer(id, { diffId, blob: { mediaType, digest, size, diffId, repository: origin } });
  if (row === undefined && created !== undefined) noteOwnLayer(id, created, store);
  return id;
}

function isAtHand(row: LayerRow | undefined, deps: RowDeps): boolean {
  return row !== undefined && (row.hasDir || row.blobs.some((blob) => isTrusted(blob, deps)));
}

/**
 * Whether the bytes of a layer can be had. Images are taken to be where they were; a cache is another matter, as it is
 * written anew with every build, and registries remove what nothing refers to any more.
 */
export async function isReachable(
  row: LayerRow,
  { store, registry, signal }: RowDeps & { readonly registry: Registry; readonly signal: AbortSignal },
): Promise<boolean> {
  if (row.hasDir || row.blobs.some(({ local }) => local) || isBaseLayer(row, store)) return true;
  for (const { digest, repositories } of row.blobs) {
    for (const repository of repositories) {
      const layout = layoutOf(repository);
      const found =
        layout === undefined
          ? await registry.hasBlob(repository, digest, { signal }).catch(() => false)
          : existsSync(layoutBlobPath(layout, digest));
      if (found) return true;
    }
  }
  return false;
}
