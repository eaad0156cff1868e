import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { constants, createDeflateRaw, gunzipSync, inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { compress } from './compress.ts';
import type { CompressionType } from './compress.ts';
import { decompress } from './decompress.ts';
import { looksIncompressible } from './deflate-block.ts';
import { encodeBlock } from './encode-block.ts';

const MiB = 1024 * 1024;
const text = Buffer.from(Array.from({ length: 300_000 }, (_, i) => `line ${i * 7919} of some text\n`).join(''));
/** The same noise in every run. */
const noise = Buffer.concat(
  Array.from({ length: (3 * MiB) / 32 }, (_, i) => createHash('sha256').update(String(i)).digest()),
);
const mixed = Buffer.concat([
  text.subarray(0, 2 * MiB + 77),
  noise.subarray(0, 2 * MiB + 123),
  text.subarray(MiB),
  noise,
]);

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function joined(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of source) parts.push(Uint8Array.from(chunk));
  return Buffer.concat(parts);
}
const packed = (bytes: Uint8Array, type: CompressionType, level = 4, size = MiB): Promise<Buffer> =>
  joined(compress(cut(bytes, size), { type, level }));

describe('gzip', () => {
  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('x')],
    ['text', text],
    ['noise', noise],
    ['both', mixed],
    ['one block', text.subarray(0, MiB)],
    ['zeros', Buffer.alloc(5 * MiB)],
  ])('%s: one member that zlib and gzip -t take', async (_, bytes) => {
    const out = await packed(bytes, 'gzip');
    expect(gunzipSync(out).equals(bytes)).toBe(true);
    expect(spawnSync('gzip', ['-t'], { input: out }).status).toBe(0);
    expect([...out.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  });

  test('equal bytes however the stream was cut', async () => {
    const whole = await packed(mixed, 'gzip');
    for (const size of [999_999, 64 * 1024, 3 * MiB])
      expect((await packed(mixed, 'gzip', 4, size)).equals(whole)).toBe(true);
  });

  test('higher levels make less of text; noise is stored', async () => {
    const sizes = await Promise.all([1, 9].map(async (level) => (await packed(text, 'gzip', level)).length));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    const stored = (await packed(noise, 'gzip')).length;
    expect(stored).toBeGreaterThan(noise.length);
    expect(stored).toBeLessThan(noise.length * 1.0002);
  });
});

test('what is taken for noise', () => {
  expect(looksIncompressible(noise.subarray(0, MiB))).toBe(true);
  expect(looksIncompressible(randomBytes(MiB))).toBe(true);
  expect(looksIncompressible(text.subarray(0, MiB))).toBe(false);
  expect(looksIncompressible(noise.subarray(0, 1000))).toBe(false);
  // Every byte value equally often, and yet all pattern.
  expect(looksIncompressible(Buffer.from(Array.from({ length: MiB }, (_, i) => i & 0xff)))).toBe(false);
});

describe('zstd', () => {
  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['both, in several frames', mixed],
  ])('%s', async (_, bytes) => {
    const out = await packed(bytes, 'zstd', 3);
    expect(zstdDecompressSync(out).equals(bytes)).toBe(true);
    expect((await packed(bytes, 'zstd', 3, 77_777)).equals(out)).toBe(true);
    expect((await joined(decompress(cut(out, 100_000)))).equals(bytes)).toBe(true);
  });
});

test('uncompressed is the same bytes', async () => {
  expect((await packed(mixed, 'uncompressed', 0, 12_345)).equals(mixed)).toBe(true);
});

test('any bytes come back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 10 }),
      fc.constantFrom<CompressionType>('gzip', 'zstd'),
      async (chunks, type) => {
        const out = await joined(compress(each(chunks), { type, level: 1 }));
        expect((await joined(decompress(each([out])))).equals(Buffer.concat(chunks))).toBe(true);
      },
    ),
    { numRuns: 40 },
  );
});
async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

test('chunks are released once they are done with, and an error of the source ends it', async () => {
  const released: number[] = [];
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 12; i++) yield Buffer.alloc(MiB, i);
    throw new Error('no more');
  })();
  await expect(
    joined(compress(source, { type: 'gzip', level: 1 }, (chunk) => released.push(chunk[0] ?? -1))),
  ).rejects.toThrow('no more');
  expect(released.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test.each<CompressionType>(['gzip', 'zstd'])('%s: no result is kept once the next one is asked for', async (type) => {
  const kept: Uint8Array[] = [];
  for await (const piece of compress(cut(mixed, MiB), { type, level: 1 })) {
    expect(piece.length).toBeGreaterThan(0);
    kept.push(piece);
  }
  const held = new Set(kept.map(({ buffer }) => buffer).filter(({ byteLength }) => byteLength >= MiB));
  expect(held.size).toBe(0);
});

test('a block that has no room in one piece is whole', async () => {
  const encoder = createDeflateRaw({ level: 1, flush: constants.Z_SYNC_FLUSH, chunkSize: 4096 });
  const out = await encodeBlock(encoder, text.subarray(0, MiB));
  expect(inflateRawSync(out, { finishFlush: constants.Z_SYNC_FLUSH }).equals(text.subarray(0, MiB))).toBe(true);
});
