import { expect, test } from 'vitest';
import { BLOCK_SIZE, inBlocks } from './in-blocks.ts';

async function* from(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield* parts;
}

async function blocksOf(parts: readonly Uint8Array[]): Promise<readonly Buffer[]> {
  const blocks: Buffer[] = [];
  for await (const block of inBlocks(from(parts))) blocks.push(Buffer.from(block));
  return blocks;
}

const noise = (size: number): Buffer => {
  const bytes = Buffer.allocUnsafeSlow(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 2654435761) >>> 24;
  return bytes;
};

test.each([
  ['nothing', []],
  ['less than a block', [10, 20]],
  ['a block', [BLOCK_SIZE]],
  ['blocks cut across parts', [BLOCK_SIZE - 1, 3, BLOCK_SIZE * 2, 7]],
])('keeps the bytes of %s', async (_, sizes) => {
  const parts = sizes.map(noise);
  const whole = Buffer.concat(parts);
  const blocks = await blocksOf(parts);
  expect(Buffer.concat(blocks).equals(whole)).toBe(true);
  expect(blocks.slice(0, -1).every(({ length }) => length === BLOCK_SIZE)).toBe(true);
});

test('frees the memory of a part that has it for itself', async () => {
  const part = noise(100_000);
  await blocksOf([part]);
  expect(part.buffer.byteLength).toBe(0);
});

test('leaves memory alone that several parts share', async () => {
  const shared = noise(100_000);
  const blocks = await blocksOf([shared.subarray(0, 40_000), shared.subarray(40_000)]);
  expect(Buffer.concat(blocks).equals(noise(100_000))).toBe(true);
  expect(shared.length).toBe(100_000);
});
