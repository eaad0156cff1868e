import {
  BuildError,
  type Digest,
  type ExportContext,
  type ExportInput,
  type Layer,
  type LayerBlob,
} from '../contracts/index.ts';
import {
  chainId,
  compressionOf,
  digestOf,
  layerMediaType,
  MEDIA_TYPES,
  packLayer,
  type Descriptor,
  type HistoryEntry,
  type ImageConfig,
  type Manifest,
} from '../image/index.ts';
import type { Store } from '../store/index.ts';
import type { ImageOptions } from './output.ts';
import { status } from './status.ts';

/** Layers packed at once: packing is parallel in itself, a second one fills the gaps. */
const PACKED_AT_ONCE = 2;

/** A finished image; its documents are in the store, its layers too unless `lazy` was asked for. */
export interface MadeImage {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly config: Descriptor;
  readonly configBytes: Uint8Array;
}

/**
 * Packs what is not packed yet and writes config and manifest into the store.
 *
 * @param lazy Layers of a base image that were never pulled stay where they are.
 */
export async function makeImage(
  input: ExportInput,
  options: ImageOptions & { readonly lazy: boolean },
  { store, context }: { readonly store: Store; readonly context: ExportContext },
): Promise<MadeImage> {
  const blobs = await packLayers(input, options, store, context);
  const config = imageConfig(input, blobs, store);
  const configBytes = Buffer.from(JSON.stringify(config));
  const configDescriptor: Descriptor = {
    mediaType: options.ociMediaTypes ? MEDIA_TYPES.ociConfig : MEDIA_TYPES.dockerConfig,
    ...(await store.putBlob(configBytes)),
  };
  const annotated = Object.keys(options.annotations).length > 0;
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: options.ociMediaTypes ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest,
    config: configDescriptor,
    layers: blobs.map((blob) => layerDescriptor(blob, options.ociMediaTypes)),
    ...(annotated && { annotations: options.annotations }),
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const stored = await store.putBlob(manifestBytes);
  const mediaType = manifest.mediaType ?? MEDIA_TYPES.ociManifest;
  return { descriptor: { mediaType, ...stored }, manifest, manifestBytes, config: configDescriptor, configBytes };
}

async function packLayers(
  input: ExportInput,
  options: ImageOptions & { readonly lazy: boolean },
  store: Store,
  context: ExportContext,
): Promise<readonly LayerBlob[]> {
  const { layers } = input.snapshot;
  const blobs: LayerBlob[] = [];
  const report = status(context.events, 'exporting layers');
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < layers.length; i = next++) {
      const layer = layers[i];
      if (layer !== undefined) blobs[i] = await layerBlob(layer, input, options, store, context);
    }
  };
  await Promise.all(Array.from({ length: PACKED_AT_ONCE }, work));
  report.done();
  return blobs;
}

async function layerBlob(
  layer: Layer,
  input: ExportInput,
  options: ImageOptions & { readonly lazy: boolean },
  store: Store,
  context: ExportContext,
): Promise<LayerBlob> {
  const { compression, level, force } = options.layers;
  const row = store.layer(layer.id);
  // A base image's layer goes out as it came in, unless all are to be packed alike.
  const came = row?.blobs.find((blob) => blob.compressor === undefined);
  if (came !== undefined && !force && usable(came, options.ociMediaTypes)) {
    if (came.local || options.lazy) return came;
    const pulled = await layer.blob();
    if (pulled !== undefined) return pulled;
  }
  return await packLayer(layer, store, { compression, level, epoch: input.sourceDateEpoch, signal: context.signal });
}

/** Docker's media types have no name for zstd. */
function usable(blob: LayerBlob, ociMediaTypes: boolean): boolean {
  const compression = compressionOf(blob.mediaType);
  return compression !== undefined && (ociMediaTypes || compression !== 'zstd');
}

function layerDescriptor(blob: LayerBlob, ociMediaTypes: boolean): Descriptor {
  const compression = compressionOf(blob.mediaType) ?? 'gzip';
  const docker = compression === 'gzip' ? MEDIA_TYPES.dockerLayerGzip : MEDIA_TYPES.dockerLayer;
  const { digest, size, annotations } = blob;
  return {
    mediaType: ociMediaTypes ? layerMediaType(compression) : docker,
    digest,
    size,
    ...(annotations && { annotations }),
  };
}

/**
 * The configuration with `rootfs` and times (BuildKit: exporter/containerimage/writer.go). With SOURCE_DATE_EPOCH, what
 * this build adds is from then; without it, from the first time that this very image was made: an image that is built
 * again from the cache is the same image.
 */
function imageConfig(input: ExportInput, blobs: readonly LayerBlob[], store: Store): ImageConfig {
  const diffIds = blobs.map((blob) => blob.diffId);
  const base = input.config as Partial<ImageConfig>;
  const created =
    input.sourceDateEpoch === undefined ? firstMade(input, diffIds, store) : isoSeconds(input.sourceDateEpoch);
  const { architecture, os, variant } = input.platform;
  return {
    architecture: base.architecture ?? architecture,
    os: base.os ?? os,
    ...(variant !== undefined && base.variant === undefined && { variant }),
    ...base,
    created,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: history(base.history ?? [], blobs.length, created),
  };
}

function firstMade(input: ExportInput, diffIds: readonly Digest[], store: Store): string {
  const key = `image/created ${digestOf(JSON.stringify([input.config, chainId(diffIds) ?? '']))}`;
  const known = store.readFact(key);
  if (known !== undefined) return known;
  const now = new Date().toISOString();
  store.writeFact(key, now);
  return now;
}

function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** Entries with a layer must be as many as there are layers: readers pair them by position. */
function history(entries: readonly HistoryEntry[], layers: number, created: string): readonly HistoryEntry[] {
  const dated = entries.map((entry) => (entry.created === undefined ? { created, ...entry } : entry));
  const withLayer = dated.filter((entry) => entry.empty_layer !== true).length;
  if (withLayer === layers) return dated;
  if (withLayer > layers) {
    throw new BuildError({
      code: 'internal',
      message: `the image has ${layers} layers but ${withLayer} steps that made one`,
    });
  }
  // A base image without history, or with too little of it: its layers come first.
  return [...Array.from({ length: layers - withLayer }, () => ({ created, created_by: 'unknown' })), ...dated];
}
