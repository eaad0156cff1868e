import { BuildError } from '../contracts/index.ts';
import type { ExportContext, Layer, LayerBlob } from '../contracts/index.ts';
import {
  MEDIA_TYPES,
  compressionOf,
  isBaseLayer,
  isEstargz,
  isForeignLayer,
  layerTime,
  packLayer,
  splitUrls,
} from '../image/index.ts';
import type { CompressionType, Descriptor, PackOptions } from '../image/index.ts';
import type { LayerRow, Store } from '../store/index.ts';
import { inParallel } from './in-parallel.ts';
import type { ImageAttributes } from './output-spec.ts';
import { reportProgress } from './progress-report.ts';

/** Packing one layer uses all cores; the second fills the gaps. */
const PACKED_AT_ONCE = 2;

/** A layer of the image that is being made. */
export interface ImageLayer {
  readonly layer: Layer;
  readonly blob: LayerBlob;
  readonly descriptor: Descriptor;
  /** Where a blob that came with a base can be had, and mounted from. */
  readonly repositories: readonly string[];
  /** Milliseconds since the epoch; undefined for layers that came with a base. */
  readonly created: number | undefined;
}

/** The layers of one image, and seconds that bound their times. */
interface LayerStack {
  readonly layers: readonly Layer[];
  readonly epoch: number | undefined;
}

/**
 * The layers of images as blobs, parallel to `stacks`; what several have is made once. Layers of our own are packed where
 * they are not yet; those of a base stay what they were, not even pulled, unless another compression is forced upon them.
 */
export async function imageLayers(
  stacks: readonly LayerStack[],
  store: Store,
  attributes: ImageAttributes,
  context: ExportContext,
  onNewBlob?: PackOptions['onNewBlob'],
): Promise<readonly (readonly ImageLayer[])[]> {
  const made = new Map<string, ImageLayer>();
  const wanted = new Map<string, () => Promise<void>>();
  const nameOf = (layer: Layer, epoch: number | undefined): string => `${layer.id} ${epoch ?? ''}`;
  for (const { layers, epoch } of stacks) {
    for (const layer of layers) {
      const name = nameOf(layer, epoch);
      wanted.set(name, async () => void made.set(name, await make(layer, epoch)));
    }
  }
  await inParallel([...wanted.values()], PACKED_AT_ONCE);
  return stacks.map(({ layers, epoch }) => layers.flatMap((layer) => made.get(nameOf(layer, epoch)) ?? []));

  async function make(layer: Layer, epoch: number | undefined): Promise<ImageLayer> {
    const row = store.layer(layer.id);
    const isOurs = row === undefined || !isBaseLayer(row, store);
    // One of ours that a cache brought is as bound by the epoch as one that was made here.
    const mayClamp = isOurs && epoch !== undefined && attributes.rewriteTimestamp;
    const as = mayClamp ? boundedElsewhere(layer, epoch, store) : layer;
    const came = as === undefined ? undefined : foreignBlob(store.layer(as.id));
    const blob = came === undefined || mustRepack(came, attributes) ? await pack(layer, epoch) : came;
    return {
      layer: as ?? layer,
      blob,
      descriptor: layerDescriptor(blob, attributes.ociMediaTypes),
      repositories: came?.repositories ?? [],
      created: isOurs ? layerTime(layer.id, store) : undefined,
    };
  }

  async function pack(layer: Layer, epoch: number | undefined): Promise<LayerBlob> {
    const progress = reportProgress(context.events, `packing ${layer.id}`, 'packing layer');
    const blob = await packLayer(layer, store, {
      compression: attributes.compression,
      level: attributes.compressionLevel,
      epoch: attributes.rewriteTimestamp ? epoch : undefined,
      signal: context.signal,
      onNewBlob,
      onProgress: progress.update,
    });
    progress.done();
    return blob;
  }
}

/** What a cache says the bounded layer is, so that nobody needs to read the layer; what is at hand we bound ourselves. */
function boundedElsewhere(layer: Layer, epoch: number, store: Store): Layer | undefined {
  const row = store.layer(layer.id);
  if (row === undefined || row.hasDir || row.blobs.some(({ local }) => local)) return undefined;
  return layer.bounded?.(epoch);
}

/** The blob that a layer came with, one at hand before others; undefined for layers that we made. */
function foreignBlob(row: LayerRow | undefined): LayerRow['blobs'][number] | undefined {
  const foreign = row?.blobs.filter(({ compressor }) => compressor === undefined) ?? [];
  return foreign.find(({ local }) => local) ?? foreign[0];
}

function mustRepack(blob: LayerBlob, { forceCompression, compression, compressionLevel }: ImageAttributes): boolean {
  if (!forceCompression || isForeignLayer(blob)) return false;
  if (compression === 'estargz') return !isEstargz(blob);
  return compressionOf(blob.mediaType) !== compression || compressionLevel !== undefined;
}

function layerDescriptor({ mediaType, digest, size, annotations }: LayerBlob, oci: boolean): Descriptor {
  const noted = splitUrls(annotations);
  const kept = oci ? publicAnnotations(noted.annotations) : undefined;
  return {
    mediaType: layerMediaType(mediaType, oci),
    digest,
    size,
    ...(noted.urls === undefined ? {} : { urls: noted.urls }),
    ...(kept === undefined ? {} : { annotations: kept }),
  };
}

/** OCI's name or Docker's for the same thing (BuildKit: util/compression, ConvertAllLayerMediaTypes). */
export function layerMediaType(mediaType: string, oci: boolean): string {
  const compression = compressionOf(mediaType);
  // A foreign layer stays one, under the name that its image has for it.
  if (compression === undefined || isForeignLayer({ mediaType })) return mediaType;
  return (oci ? OCI_LAYERS : DOCKER_LAYERS)[compression];
}

const OCI_LAYERS: Readonly<Record<CompressionType, string>> = {
  gzip: MEDIA_TYPES.ociLayerGzip,
  zstd: MEDIA_TYPES.ociLayerZstd,
  uncompressed: MEDIA_TYPES.ociLayer,
};
const DOCKER_LAYERS: Readonly<Record<CompressionType, string>> = {
  gzip: MEDIA_TYPES.dockerLayerGzip,
  // Docker never named one; BuildKit writes this too.
  zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  uncompressed: MEDIA_TYPES.dockerLayer,
};

/** Without what tools note for themselves (BuildKit: RemoveInternalLayerAnnotations). */
function publicAnnotations(annotations: LayerBlob['annotations']): Descriptor['annotations'] {
  const kept = Object.entries(annotations ?? {}).filter(
    ([key]) =>
      key !== 'containerd.io/uncompressed' &&
      key !== 'buildkit/createdat' &&
      !key.startsWith('containerd.io/distribution.source.'),
  );
  return kept.length === 0 ? undefined : Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The bytes of every layer on this machine; what is still in a registry is pulled, all at once. */
export async function fetchLayers(layers: readonly ImageLayer[], store: Store): Promise<void> {
  await Promise.all(layers.map((layer) => fetchLayer(layer, store)));
}

export async function fetchLayer({ layer, blob }: ImageLayer, store: Store): Promise<void> {
  if (store.hasBlob(blob.digest)) return;
  await layer.blob();
  if (store.hasBlob(blob.digest)) return;
  throw new BuildError({
    code: 'store',
    message: `the blob ${blob.digest} is not in the store`,
    hint: 'build again with --no-cache',
  });
}
