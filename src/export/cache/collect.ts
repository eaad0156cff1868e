import { BuildError } from '../../contracts/index.ts';
import type { ExportContext, Layer, LayerBlob, LayerId, SolvedRecord } from '../../contracts/index.ts';
import { boundedLayer, compressionOf, isBaseLayer, layerTime, packLayer } from '../../image/index.ts';
import type { PortableBlob, PortableCache, PortableLayer, PortableRecord } from '../../image/index.ts';
import type { LayerRow, Store } from '../../store/index.ts';
import { reportProgress } from '../progress-report.ts';
import { portableInputs, selectRecords } from './select-records.ts';
import type { CacheForm, CachedBuild } from './target.ts';

/** A blob that the cache holds. */
export interface CacheBlob {
  readonly layer: Layer;
  readonly blob: LayerBlob;
  /** Where it can be had, and mounted from. */
  readonly repositories: readonly string[];
}

export interface CollectedCache {
  readonly cache: PortableCache;
  readonly blobs: readonly CacheBlob[];
  /** Records that did not fit. */
  readonly left: number;
}

/** More layers than this no reader takes in a manifest (image/documents.ts). */
const BLOBS_MAX = 1000;

/**
 * What a cache will hold: records, and the blobs of their layers, packed where they are not yet. Layers of base images are
 * only named: whoever reads the cache has asked for the same images. A result whose bytes are gone is left out.
 */
export async function collectCache(
  builds: readonly CachedBuild[],
  form: CacheForm,
  store: Store,
  context: ExportContext,
): Promise<CollectedCache> {
  const layers: PortableLayer[] = [];
  const blobs = new Map<string, CacheBlob>();
  /** Undefined for layers that cannot be had. */
  const indices = new Map<LayerId, number | undefined>();
  const records = new Map<string, PortableRecord>();
  let left = 0;

  async function indexOf(layer: Layer, epoch: number | undefined): Promise<number | undefined> {
    if (indices.has(layer.id)) return indices.get(layer.id);
    const made = await portable(layer, epoch);
    const index = made === undefined ? undefined : layers.push(made) - 1;
    indices.set(layer.id, index);
    return index;
  }

  async function portable(layer: Layer, epoch: number | undefined): Promise<PortableLayer | undefined> {
    const row = store.layer(layer.id);
    if (row !== undefined && isBaseLayer(row, store)) {
      return row.diffId === undefined ? undefined : { diffId: row.diffId, blob: undefined, created: undefined };
    }
    const blob = known(row, form) ?? (await packed(layer));
    if (blob === undefined) return undefined;
    const bounded = epoch === undefined ? undefined : boundedBy(layer, epoch);
    return { diffId: blob.diffId, blob: held(layer, blob), created: layerTime(layer.id, store), bounded };
  }

  /** As an image that was exported has it; nothing is packed for it. */
  function boundedBy(layer: Layer, epoch: number): PortableLayer['bounded'] {
    const id = boundedLayer(layer.id, epoch, store);
    if (id === undefined) return undefined;
    if (id === layer.id) return { epoch, as: undefined };
    const blob = known(store.layer(id), form);
    // One that was made in this build has been packed here.
    const as = layer.bounded?.(epoch) ?? (blob !== undefined && store.hasBlob(blob.digest) ? layer : undefined);
    if (blob === undefined || as === undefined) return undefined;
    return { epoch, as: { diffId: blob.diffId, blob: held(as, blob, id) } };
  }

  function held(layer: Layer, blob: LayerBlob, id: LayerId = layer.id): PortableBlob {
    const { mediaType, digest, size } = blob;
    const repositories = store.layer(id)?.blobs.find((item) => item.digest === digest)?.repositories ?? [];
    if (!blobs.has(digest)) blobs.set(digest, { layer, blob, repositories });
    return { mediaType, digest, size };
  }

  async function packed(layer: Layer): Promise<LayerBlob | undefined> {
    const progress = reportProgress(context.events, `packing ${layer.id}`, 'packing layer');
    try {
      const blob = await packLayer(layer, store, {
        compression: form.compression,
        level: form.compressionLevel,
        signal: context.signal,
        onProgress: progress.update,
      });
      progress.done();
      return blob;
    } catch (error) {
      // Gone, or changed since: the step runs again when somebody needs it.
      if (error instanceof BuildError && (error.code === 'store' || error.code === 'context')) return undefined;
      throw error;
    }
  }

  async function add(record: SolvedRecord, epoch: number | undefined): Promise<void> {
    if (records.has(record.key)) return;
    if (blobs.size >= BLOBS_MAX) {
      left++;
      return;
    }
    const outputs: number[][] = [];
    for (const { layers: chain } of record.snapshots) {
      const output: number[] = [];
      for (const layer of chain) {
        const index = await indexOf(layer, epoch);
        if (index === undefined) return;
        output.push(index);
      }
      outputs.push(output);
    }
    const { key, lookup, definition, created } = record;
    records.set(key, { key, lookup, definition, created, outputs, inputs: portableInputs(record) });
  }

  for (const build of builds) for (const record of selectRecords(build, form.mode)) await add(record, build.epoch);
  return { cache: { layers, records: [...records.values()] }, blobs: [...blobs.values()], left };
}

/** A blob that will do, one of the wanted compression and at hand before others. */
function known(row: LayerRow | undefined, form: CacheForm): LayerBlob | undefined {
  const isWanted = ({ mediaType }: LayerBlob): boolean => compressionOf(mediaType) === form.compression;
  const wanted = row?.blobs.filter(isWanted) ?? [];
  const found = wanted.find(({ local }) => local) ?? wanted[0];
  if (form.forceCompression) return form.compressionLevel === undefined ? found : undefined;
  return found ?? row?.blobs[0];
}
