/**
 * Plain streams to compressed ones, on all cores: blocks of fixed size are compressed on the thread pool, each for
 * itself, and joined in order. Equal bytes in give equal bytes out for one version of the compressor, on any number of
 * cores and however the stream was cut.
 */
import { dropBlock, encodeBlock } from './encode-block.ts';
import { inOrder } from './in-order.ts';
import { MEDIA_TYPES } from './types.ts';

export type CompressionType = 'gzip' | 'zstd' | 'uncompressed';

export interface Compression {
  readonly type: CompressionType;
  /** gzip 1 to 9, zstd 1 to 22. */
  readonly level: number;
}

/**
 * gzip 4: on a layer of half text, half noise it packs 2.3 times as fast as zlib's own default 6 and the result is 1 %
 * larger, about what BuildKit's compressor makes of it. zstd 3 is zstd's default.
 */
export const DEFAULT_LEVELS: Readonly<Record<CompressionType, number>> = { gzip: 4, zstd: 3, uncompressed: 0 };
export const LEVEL_MAX: Readonly<Record<CompressionType, number>> = { gzip: 9, zstd: 22, uncompressed: 0 };

const MiB = 1024 * 1024;
/** A gzip block; deflate sees the 32 KiB before it as its dictionary. */
const GZIP_BLOCK = MiB;
const WINDOW = 32 * 1024;
/** A zstd frame. Frames know nothing of each other: those of 1 MiB are up to a tenth larger in sum (`node_modules`). */
const ZSTD_FRAME = 4 * MiB;

/** Bytes of the pieces that a compressor takes as they are; all others it has to copy. */
export const BLOCK_SIZES: Readonly<Record<CompressionType, number>> = {
  gzip: GZIP_BLOCK,
  zstd: ZSTD_FRAME,
  uncompressed: MiB,
};
/** Blocks in work at once: what the pool's threads (4 unless told otherwise) can do and one in reserve; of zstd's one less. */
export const BLOCKS_IN_WORK: Readonly<Record<CompressionType, number>> = { gzip: 5, zstd: 3, uncompressed: 1 };

/** What made a blob, as recorded with it: equal compressed digests are promised for equal compressors only. */
export function compressorName({ type, level }: Compression): string {
  switch (type) {
    case 'gzip':
      return `zlib ${process.versions.zlib} gzip-${level} blocks`;
    case 'zstd':
      return `zstd ${process.versions['zstd'] ?? ''} zstd-${level} frames of 4 MiB`;
    case 'uncompressed':
      return 'none';
  }
}

/** OCI media type of a layer; Docker's names are made from these where they are wanted. */
export function layerMediaType(type: CompressionType): string {
  switch (type) {
    case 'gzip':
      return MEDIA_TYPES.ociLayerGzip;
    case 'zstd':
      return MEDIA_TYPES.ociLayerZstd;
    case 'uncompressed':
      return MEDIA_TYPES.ociLayer;
  }
}

/**
 * @param source Its chunks are read after the next one was asked for, so they must not be used again, unless `release`
 *   said so.
 * @param release Called with a chunk once its bytes are no longer needed.
 * @returns Pieces that are gone once the next one is asked for.
 */
export function compress(
  source: AsyncIterable<Uint8Array>,
  { type, level }: Compression,
  release?: (chunk: Uint8Array) => void,
): AsyncIterable<Uint8Array> {
  switch (type) {
    case 'gzip':
      return gzip(source, level, release);
    case 'zstd':
      return zstd(source, level, release);
    case 'uncompressed':
      return plain(source, release);
  }
}

async function* plain(
  source: AsyncIterable<Uint8Array>,
  release?: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield chunk;
    release?.(chunk);
  }
}

/** One gzip member without name or time: equal input, equal output. */
async function* gzip(
  source: AsyncIterable<Uint8Array>,
  level: number,
  release?: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const { crc32 } = await import('node:zlib');
  const { deflateBlock } = await import('./deflate-block.ts');
  let checksum = 0;
  let size = 0;
  let dictionary: Buffer = Buffer.alloc(0);
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  const compressed = inOrder(blocksOf(source, GZIP_BLOCK, release), BLOCKS_IN_WORK.gzip, ({ bytes, done }) => {
    checksum = crc32(bytes, checksum);
    size += bytes.length;
    const before = dictionary;
    dictionary = Buffer.from(bytes.subarray(Math.max(0, bytes.length - WINDOW)));
    return deflateBlock(bytes, level, before).finally(done);
  });
  yield* dropped(compressed);
  const trailer = Buffer.alloc(10);
  // An empty last block ends the deflate stream.
  trailer[0] = 0x03;
  trailer.writeUInt32LE(checksum, 2);
  trailer.writeUInt32LE(size % 2 ** 32, 6);
  yield trailer;
}

/** Many frames; every zstd reader takes them as one stream. (`nbWorkers` of Node's zlib loses data, as of Node 24.) */
async function* zstd(
  source: AsyncIterable<Uint8Array>,
  level: number,
  release?: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const { constants, createZstdCompress } = await import('node:zlib');
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  const frame = (bytes: Uint8Array): Promise<Uint8Array> => {
    // ZSTD_COMPRESSBOUND, and some.
    const chunkSize = bytes.length + (bytes.length >> 8) + 1024;
    return encodeBlock(createZstdCompress({ params, chunkSize, flush: constants.ZSTD_e_end }), bytes);
  };
  let size = 0;
  const frames = inOrder(blocksOf(source, ZSTD_FRAME, release), BLOCKS_IN_WORK.zstd, ({ bytes, done }) => {
    size += bytes.length;
    return frame(bytes).finally(done);
  });
  yield* dropped(frames);
  if (size === 0) yield frame(new Uint8Array(0));
}

/** Each result is gone once the next one is asked for. */
async function* dropped(results: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of results) {
    yield bytes;
    dropBlock(bytes);
  }
}

interface Block {
  readonly bytes: Uint8Array;
  /** To be called when the bytes are no longer needed. */
  readonly done: () => void;
}

/** Blocks of `size` bytes, the last one shorter; a chunk of just that size is passed on without a copy. */
async function* blocksOf(
  source: AsyncIterable<Uint8Array>,
  size: number,
  release?: (chunk: Uint8Array) => void,
): AsyncGenerator<Block> {
  const free: Buffer[] = [];
  let block: Buffer | undefined;
  let used = 0;
  const own = (buffer: Buffer, length: number): Block => ({
    bytes: length === size ? buffer : buffer.subarray(0, length),
    done: () => free.push(buffer),
  });
  for await (const chunk of source) {
    if (used === 0 && chunk.length === size) {
      yield { bytes: chunk, done: () => release?.(chunk) };
      continue;
    }
    for (let at = 0; at < chunk.length;) {
      block ??= free.pop() ?? Buffer.allocUnsafeSlow(size);
      const step = Math.min(size - used, chunk.length - at);
      block.set(chunk.subarray(at, at + step), used);
      at += step;
      used += step;
      if (used < size) continue;
      yield own(block, size);
      block = undefined;
      used = 0;
    }
    release?.(chunk);
  }
  if (block !== undefined && used > 0) yield own(block, used);
}
