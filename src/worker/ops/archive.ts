/** Recognises a tar archive by its content, whatever its name and compression, and reads it as plain tar. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, Digest } from '../../contracts/index.ts';
import { decompress, detectCompression } from '../../image/index.ts';
import { encodePath } from '../../sys/path.ts';

const BLOCK = 512;
const READ_BYTES = 1 << 20;

/** Formats that Node cannot read: a program of this machine does, never one of an image (CVE-2019-14271). */
const PROGRAM_PACKAGES = { bzip2: 'bzip2', xz: 'xz-utils' } as const;

/** Of an archive that is no archive after all, or a damaged one. */
const DAMAGED = 'hostile';

type Bytes = AsyncIterable<Uint8Array>;

export interface Archive {
  /** The plain tar. */
  readonly stream: Bytes;
  /** To be called when all was read. @throws BuildError `context` when the user's file changed since it was keyed. */
  verify(): Promise<void>;
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
  const { bytes, verify } = rawBytes(location, digest, name, signal);
  const source = await peek(bytes, BLOCK);
  if (source === undefined) return undefined;
  const format = detectCompression(source.head);
  if (format === 'uncompressed') {
    if (isTarHeader(source.head)) return { stream: source.stream, verify };
    await source.close();
    return undefined;
  }
  const inner =
    format === 'bzip2' || format === 'xz'
      ? throughProgram(source.stream, format)
      : decompress(source.stream, { name, code: DAMAGED });
  const plain = await peek(inner, BLOCK).catch((error: unknown) => {
    // Something else that begins like an archive is copied as it is.
    if (!(error instanceof BuildError) || error.code === DAMAGED) return undefined;
    throw error;
  });
  if (plain !== undefined && isTarHeader(plain.head)) return { stream: plain.stream, verify };
  await plain?.close();
  await source.close();
  return undefined;
}

/** A file's bytes; those of the user's are hashed in passing, since the file may change at any moment. */
function rawBytes(
  location: ContentLocation,
  digest: Digest | undefined,
  name: string,
  signal: AbortSignal,
): { readonly bytes: Bytes; readonly verify: () => Promise<void> } {
  if (location.kind === 'bytes') return { bytes: oneChunk(location.data), verify: async () => undefined };
  const read = (): Bytes => createReadStream(encodePath(location.path), { highWaterMark: READ_BYTES, signal });
  if (location.kind === 'file') return { bytes: read(), verify: async () => undefined };
  let found: string | undefined;
  async function* hashed(): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    for await (const chunk of read()) {
      hash.update(chunk);
      yield chunk;
    }
    found = `sha256:${hash.digest('hex')}`;
  }
  const verify = async (): Promise<void> => {
    // An archive may end before its file does; then it is read once more.
    const again = hashed();
    while (found === undefined && (await again.next()).done !== true) signal.throwIfAborted();
    if (found === digest) return;
    throw new BuildError({
      code: 'context',
      message: `${name} changed while it was read`,
      hint: 'Build again when nothing writes to it.',
    });
  };
  return { bytes: hashed(), verify };
}

async function* oneChunk(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
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

async function* throughProgram(source: Bytes, program: keyof typeof PROGRAM_PACKAGES): AsyncGenerator<Uint8Array> {
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
        hint: `Install it: apt-get install ${PROGRAM_PACKAGES[program]}.`,
        cause: error,
      });
    });
    if (code !== 0) {
      throw new BuildError({
        code: DAMAGED,
        message: `${program} cannot read the archive (it ended with ${code ?? 'a signal'})`,
      });
    }
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
