import { createReadStream } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { Layer, LayerBlob, LayerId, Tree } from '../../contracts/index.ts';
import type { LayerRow, Store } from '../../store/index.ts';
import { asBuildError } from '../../sys/errno.ts';
import { BLOCKS_IN_WORK, BLOCK_SIZES, DEFAULT_LEVELS, compress, compressorName, layerMediaType } from '../compress.ts';
import type { Compression, CompressionType } from '../compress.ts';
import { decompress } from '../decompress.ts';
import { boundedLayer, noteBoundedLayer } from '../bounded-layer.ts';
import { isBaseLayer } from '../own-layer.ts';
import type { PackOptions } from './options.ts';
import { isLaterThan } from './plan.ts';
import { estimate, tarOf } from './tar-of.ts';
import type { TarStream } from './tar-stream.ts';

/**
 * The layer as a blob of the wanted compression in the store: one that is there already, one made from a blob of another
 * compression, or one made from the tree. In one pass: files to tar, to diff ID, to compressed bytes, to the store.
 * Memory is bounded by the tree and some ten blocks of 1 or 4 MiB, whatever the size of the layer.
 *
 * @throws BuildError `context` when a file of the build context changed since it was keyed, `disk-full`, `cancelled`.
 */
export async function packLayer(layer: Layer, store: Store, options: PackOptions): Promise<LayerBlob> {
  const { compression } = options;
  if (compression === 'estargz') return (await import('../estargz/pack.ts')).packEstargz(layer, store, options);
  return packPlainly(layer, store, { ...options, compression });
}

/** Options for all but eStargz. */
type PlainOptions = Omit<PackOptions, 'compression'> & { readonly compression: CompressionType };

async function packPlainly(layer: Layer, store: Store, options: PlainOptions): Promise<LayerBlob> {
  const { epoch } = options;
  const row = store.layer(layer.id);
  if (epoch === undefined || (row !== undefined && isBaseLayer(row, store))) return packAsIs(layer, store, options);
  const known = boundedLayer(layer.id, epoch, store);
  if (known === layer.id) return packAsIs(layer, store, options);
  const found = known === undefined ? undefined : findBlob(store, known, options);
  if (found !== undefined) return found;
  const tree = await layer.tree();
  if (!isLaterThan(tree, epoch)) {
    noteBoundedLayer(layer.id, epoch, layer.id, store);
    return packAsIs(layer, store, options);
  }
  return packClamped(layer, tree, store, { ...options, epoch });
}

async function packAsIs(layer: Layer, store: Store, options: PlainOptions): Promise<LayerBlob> {
  const known = findBlob(store, layer.id, options);
  if (known !== undefined) return known;
  const row = store.layer(layer.id);
  if (row !== undefined && row.blobs.length > 0) {
    const came = await layer.blob();
    if (came !== undefined) return transcode(came, layer.id, store, { ...options, onNewBlob: undefined });
  }
  return pack(layer, await layer.tree(), layer.id, store, options);
}

async function packClamped(
  layer: Layer,
  tree: Tree,
  store: Store,
  options: PlainOptions & { readonly epoch: number },
): Promise<LayerBlob> {
  const clamped = store.newLayer();
  const blob = await pack(layer, tree, clamped, store, options);
  noteBoundedLayer(layer.id, options.epoch, store.findLayer({ diffId: blob.diffId }) ?? clamped, store);
  return blob;
}

/** A local blob of the layer, or of another layer of the same diff ID. */
function findBlob(store: Store, id: LayerId, options: PlainOptions): LayerBlob | undefined {
  const row = store.layer(id);
  const own = row?.blobs.find((blob) => blob.local && isWanted(blob, options));
  if (own !== undefined || row?.diffId === undefined) return own === undefined ? undefined : plainBlob(own);
  const twin = store.findLayer({ diffId: row.diffId });
  const other = twin === undefined || twin === id ? undefined : store.layer(twin);
  const found = other?.blobs.find((blob) => blob.local && isWanted(blob, options));
  return found === undefined ? undefined : plainBlob(found);
}

function isWanted(blob: LayerRow['blobs'][number], { compression, level }: PlainOptions): boolean {
  if (compressionOf(blob.mediaType) !== compression) return false;
  return level === undefined || blob.compressor === compressorName({ type: compression, level });
}

/** By media type, OCI's or Docker's. */
export function compressionOf(mediaType: string): CompressionType | undefined {
  if (/[.+]gzip$/.test(mediaType)) return 'gzip';
  if (mediaType.endsWith('+zstd')) return 'zstd';
  return /\.tar$/.test(mediaType) ? 'uncompressed' : undefined;
}

function plainBlob({ mediaType, digest, size, diffId, annotations }: LayerBlob): LayerBlob {
  const blob = { mediaType, digest, size, diffId };
  return annotations === undefined ? blob : { ...blob, annotations };
}

async function pack(layer: Layer, tree: Tree, id: LayerId, store: Store, options: PlainOptions): Promise<LayerBlob> {
  const { compression, epoch } = options;
  const blocks = { size: BLOCK_SIZES[compression], inWork: BLOCKS_IN_WORK[compression] };
  const { stream, contentSize } = await tarOf(tree, (paths) => layer.locate(paths), { epoch, blocks });
  const total = estimate(tree, contentSize);
  const isNew = epoch === undefined && store.layer(id)?.diffId === undefined;
  const { blob, compressor } = await writeBlob(
    stream.blocks,
    store,
    isNew ? options : { ...options, onNewBlob: undefined },
    total,
    stream,
  );
  store.saveLayer(id, { blob: { ...blob, compressor }, size: contentSize });
  return blob;
}

/** The same tar in another compression; the diff ID stays. */
async function transcode(from: LayerBlob, id: LayerId, store: Store, options: PlainOptions): Promise<LayerBlob> {
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256');
  let size = 0;
  const source = decompress(createReadStream(store.blobPath(from.digest), { highWaterMark: 1 << 20 }), {
    name: `layer ${from.digest}`,
  });
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  const result = (): { diffId: LayerBlob['diffId']; size: number } => ({
    diffId: `sha256:${hash.digest('hex')}`,
    size,
  });
  const { blob, compressor } = await writeBlob(hashed(), store, options, 0, { result });
  if (blob.diffId !== from.diffId) {
    throw new BuildError({
      code: 'digest-mismatch',
      message: `layer ${from.digest} holds ${blob.diffId}, not ${from.diffId} as its image says`,
    });
  }
  store.saveLayer(id, { blob: { ...blob, compressor } });
  return blob;
}

async function writeBlob(
  blocks: AsyncIterable<Uint8Array>,
  store: Store,
  { compression, level, signal, onNewBlob, onProgress }: PlainOptions,
  total: number,
  tar: Pick<TarStream, 'result'> & Partial<Pick<TarStream, 'release'>>,
): Promise<{ readonly blob: LayerBlob; readonly compressor: string }> {
  const how: Compression = { type: compression, level: level ?? DEFAULT_LEVELS[compression] };
  const writer = await store.createBlob();
  if (onNewBlob !== undefined) onNewBlob(writer.follow(), total);
  try {
    const counted = countBytes(blocks, signal, (done) => onProgress?.(done, Math.max(done, total)));
    for await (const bytes of compress(counted, how, tar.release)) await writer.write(bytes);
    const { diffId } = tar.result();
    const { digest, size } = await writer.commit();
    return {
      blob: { mediaType: layerMediaType(compression), digest, size, diffId },
      compressor: compressorName(how),
    };
  } catch (error) {
    await writer.abort();
    throw signal?.aborted === true ? cancelled(error) : asBuildError(error, 'pack a layer');
  }
}

async function* countBytes(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  report: (done: number) => void,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of source) {
    if (signal?.aborted === true) throw cancelled();
    done += chunk.length;
    yield chunk;
    report(done);
  }
}

function cancelled(cause?: unknown): BuildError {
  return new BuildError({ code: 'cancelled', message: 'cancelled', cause });
}
