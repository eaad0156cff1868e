/** Compressed streams to plain ones, told apart by their first bytes, whatever a media type says. */
import type { Transform } from 'node:stream';
import { BuildError } from '../contracts/index.ts';
import type { ErrorCode } from '../contracts/index.ts';
import { zstdFrames } from './zstd-frames.ts';
import type { FramePiece } from './zstd-frames.ts';

export type CompressionFormat = 'gzip' | 'zstd' | 'bzip2' | 'xz' | 'uncompressed';

/** Bytes that {@link detectCompression} wants to see. */
export const MAGIC_LENGTH = 6;
const OUTPUT_CHUNK = 256 * 1024;

/** By magic number; anything unknown is `uncompressed`. */
export function detectCompression(head: Uint8Array): CompressionFormat {
  const starts = (...bytes: readonly number[]): boolean => bytes.every((byte, i) => head[i] === byte);
  if (starts(0x1f, 0x8b)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (starts(skippableFirst(head), 0x2a, 0x4d, 0x18)) return 'zstd';
  if (starts(0x42, 0x5a, 0x68)) return 'bzip2';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return 'xz';
  return 'uncompressed';
}

/** A zstd stream may begin with a skippable frame, 0x184D2A50 to 0x184D2A5F. */
function skippableFirst(head: Uint8Array): number {
  const first = head[0] ?? 0;
  return (first & 0xf0) === 0x50 ? first : 0x50;
}

export interface DecompressOptions {
  /** What is read, for errors. */
  readonly name?: string | undefined;
  /** Default `hostile`. */
  readonly code?: ErrorCode | undefined;
}

/**
 * The plain bytes of a stream that is compressed with gzip (any number of members), zstd (any number of frames) or not at
 * all. Bounded memory; decoding runs on the thread pool.
 *
 * @param source Its chunks may be used again once the next one was asked for.
 * @throws BuildError `hostile` (or `options.code`) for damaged streams; `unsupported` for bzip2 and xz.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]();
  try {
    const head = await readHead(chunks);
    const format = detectCompression(head);
    const all = prepend(head, chunks);
    if (format === 'uncompressed') yield* all;
    else if (format === 'gzip') yield* gunzip(all, options);
    else if (format === 'zstd') yield* unzstd(all, options);
    else {
      throw new BuildError({
        code: 'unsupported',
        message: `${options.name ?? 'the archive'} is compressed with ${format}`,
        hint: 'compress it with gzip or zstd',
      });
    }
  } finally {
    await chunks.return?.();
  }
}

/** The chunks up to the first that makes {@link MAGIC_LENGTH} bytes. */
async function readHead(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < MAGIC_LENGTH) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
}

async function* prepend(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

async function* gunzip(source: AsyncIterable<Uint8Array>, options: DecompressOptions): AsyncGenerator<Uint8Array> {
  const { createGunzip } = await import('node:zlib');
  yield* through(source, createGunzip({ chunkSize: OUTPUT_CHUNK }), options);
}

async function* unzstd(source: AsyncIterable<Uint8Array>, options: DecompressOptions): AsyncGenerator<Uint8Array> {
  const { createZstdDecompress } = await import('node:zlib');
  const pieces = zstdFrames(source);
  try {
    for (let first = await step(pieces, options); first !== undefined; first = await step(pieces, options)) {
      yield* through(frameOf(first, pieces), createZstdDecompress({ chunkSize: OUTPUT_CHUNK }), options);
    }
  } finally {
    await pieces.return(undefined);
  }
}

async function* frameOf(first: FramePiece, rest: AsyncGenerator<FramePiece>): AsyncGenerator<Uint8Array> {
  let piece = first;
  for (;;) {
    yield piece.bytes;
    if (piece.last) return;
    const next = await rest.next();
    if (next.done === true) return;
    piece = next.value;
  }
}

async function step(pieces: AsyncGenerator<FramePiece>, options: DecompressOptions): Promise<FramePiece | undefined> {
  try {
    const next = await pieces.next();
    return next.done === true ? undefined : next.value;
  } catch (error) {
    throw damaged(error, options);
  }
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  decoder: Transform,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  const failure: { error?: Error } = {};
  const pumped = feed(source, decoder).catch((error: unknown) => {
    failure.error = error instanceof Error ? error : new Error(String(error));
    decoder.destroy(failure.error);
  });
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
    await pumped;
    if (failure.error !== undefined) throw failure.error;
  } catch (error) {
    throw damaged(failure.error ?? error, options);
  }
}

/** Asks for the next chunk when the decoder is done with the one before, or is gone. */
async function feed(source: AsyncIterable<Uint8Array>, decoder: Transform): Promise<void> {
  let wake: (() => void) | undefined;
  decoder.once('close', () => wake?.());
  for await (const chunk of source) {
    await new Promise<void>((resolve) => {
      wake = resolve;
      decoder.write(chunk, () => resolve());
    });
    if (decoder.destroyed) return;
  }
  decoder.end();
}

/** Errors of the decoders become ours; errors of the source stay what they are. */
function damaged(error: unknown, { name = 'the archive', code = 'hostile' }: DecompressOptions): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const isDecoder = !(error instanceof BuildError) && ('errno' in error || /zstd|unexpected end/.test(error.message));
  if (!isDecoder) return error;
  return new BuildError({ code, message: `${name} cannot be decompressed: ${error.message}`, cause: error });
}
