/** Recognises a tar archive by its content, whatever its name and compression, and reads it as plain tar. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, Digest } from '../../contracts/index.ts';
import { encodePath } from '../../sys/path.ts';

const BLOCK = 512;
const READ_BYTES = 1 << 20;

/** Formats that Node cannot read: a program of this machine does, never one of an image (CVE-2019-14271). */
const PROGRAMS = {
  bzip2: { magic: Buffer.from('BZh'), package: 'bzip2' },
  xz: { magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), package: 'xz-utils' },
} as const;
const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

type Bytes = AsyncIterable<Uint8Array>;

/** The tar of an archive. `stream` is to be read to its end; it then fails when the file changed on the way. */
export interface Archive {
  readonly stream: Bytes;
}

/**
 * @param digest Of the file as it was keyed.
 * @returns Undefined when the content is no tar, compressed or not: BuildKit copies it as it is then.
 * @throws BuildError `host` when the program for xz or bzip2 is missing.
 */
export async function openArchive(
  location: ContentLocation,
  digest: Digest | undefined,
  name: string,
  signal: AbortSignal,
): Promise<Archive | undefined> {
  const raw = location.kind === 'bytes' ? oneChunk(location.data) : fileBytes(location, digest, name, signal);
  const source = await peek(raw, BLOCK);
  if (source === undefined) return undefined;
  const decompress = decompressorOf(source.head);
  if (decompress === undefined) {
    if (isTarHeader(source.head)) return { stream: source.stream };
    await source.close();
    return undefined;
  }
  const plain = await peek(decompress(source.stream), BLOCK).catch((error: unknown) => {
    if (error instanceof BuildError) throw error;
    return undefined;
  });
  if (plain !== undefined && isTarHeader(plain.head)) return { stream: plain.stream };
  await plain?.close();
  await source.close();
  return undefined;
}

async function* oneChunk(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}

/** A file's bytes; those of the user's are hashed in passing, since the file may change at any moment. */
async function* fileBytes(
  location: Exclude<ContentLocation, { kind: 'bytes' }>,
  digest: Digest | undefined,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = location.kind === 'context-file' && digest !== undefined ? createHash('sha256') : undefined;
  const options = { highWaterMark: READ_BYTES, signal };
  for await (const chunk of createReadStream(encodePath(location.path), options) as AsyncIterable<Buffer>) {
    hash?.update(chunk);
    yield chunk;
  }
  if (hash !== undefined && `sha256:${hash.digest('hex')}` !== digest) {
    throw new BuildError({
      code: 'context',
      message: `${name} changed while it was read`,
      hint: 'Build again when nothing writes to it.',
    });
  }
}

interface Peeked {
  readonly head: Buffer;
  /** From the beginning. */
  readonly stream: Bytes;
  close(): Promise<void>;
}

/** The first bytes, up to `length`, and the whole; undefined for an empty stream. */
async function peek(source: Bytes, length: number): Promise<Peeked | undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  for (let have = 0; have < length;) {
    const next = await iterator.next();
    if (next.done === true) break;
    chunks.push(next.value);
    have += next.value.byteLength;
  }
  if (chunks.length === 0) return undefined;
  const close = async (): Promise<void> => {
    await iterator.return?.();
  };
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await close();
    }
  }
  return { head: Buffer.concat(chunks).subarray(0, length), stream: whole(), close };
}

function startsWith(head: Buffer, magic: Buffer): boolean {
  return head.length >= magic.length && head.subarray(0, magic.length).equals(magic);
}

function decompressorOf(head: Buffer): ((source: Bytes) => Bytes) | undefined {
  if (startsWith(head, GZIP)) return (source) => through(source, createGunzip());
  if (startsWith(head, ZSTD) || isSkippableFrame(head)) return (source) => through(source, createZstdDecompress());
  if (startsWith(head, PROGRAMS.bzip2.magic)) return (source) => throughProgram(source, 'bzip2');
  if (startsWith(head, PROGRAMS.xz.magic)) return (source) => throughProgram(source, 'xz');
  return undefined;
}

/** Zstandard streams may begin with one (RFC 8878, 3.1.2). */
function isSkippableFrame(head: Buffer): boolean {
  return head.length >= 4 && (head.readUInt32LE(0) & 0xffff_fff0) >>> 0 === 0x184d_2a50;
}

function through(source: Bytes, transform: Transform): Bytes {
  // Errors of either side come out where the transform is read.
  pipeline(Readable.from(source), transform, () => undefined);
  return transform as AsyncIterable<Buffer>;
}

async function* throughProgram(source: Bytes, program: keyof typeof PROGRAMS): AsyncGenerator<Uint8Array> {
  const child = spawn(program, ['-d', '-c', '-q'], { stdio: ['pipe', 'pipe', 'ignore'], cwd: '/' });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  // It is awaited below; an early failure must not count as unhandled.
  ended.catch(() => undefined);
  // A program that ends early closes its input; its exit code says what that means.
  pipeline(Readable.from(source), child.stdin, () => undefined);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const code = await ended.catch((error: unknown) => {
      throw new BuildError({
        code: 'host',
        message: `the program ${program} is needed to unpack this archive and cannot be started`,
        hint: `Install it: apt-get install ${PROGRAMS[program].package}.`,
        cause: error,
      });
    });
    if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}`);
  } finally {
    child.kill();
  }
}

/** A header block has a checksum of itself (POSIX pax, ustar `chksum`), which nothing else has by chance. */
function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK) return false;
  const stored = Number.parseInt(block.toString('latin1', 148, 156).replaceAll('\0', ' ').trim(), 8);
  if (!Number.isInteger(stored)) return false;
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  return stored === unsigned || stored === signed;
}
