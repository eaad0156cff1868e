import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fileChunks } from './file-chunks.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-chunks-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.each([0, 1, 1 << 20, (1 << 20) + 1, (3 << 20) - 1])('%i bytes come in their order', async (size) => {
  const path = join(dir, String(size));
  const bytes = Buffer.from(Uint32Array.from({ length: Math.ceil(size / 4) }, (_, i) => i * 2654435761).buffer);
  writeFileSync(path, bytes.subarray(0, size));
  const pieces: Buffer[] = [];
  const memories = new Set<ArrayBufferLike>();
  for await (const piece of fileChunks(path)) {
    pieces.push(Buffer.from(piece));
    memories.add(piece.buffer);
  }
  expect(Buffer.concat(pieces).equals(bytes.subarray(0, size))).toBe(true);
  expect(memories.size).toBeLessThanOrEqual(2);
});

test('who stops early has closed it; what is not there is an error', async () => {
  const path = join(dir, 'early');
  writeFileSync(path, Buffer.alloc(5 << 20));
  for await (const piece of fileChunks(path)) {
    expect(piece.length).toBe(1 << 20);
    break;
  }
  await expect(fileChunks(join(dir, 'missing')).next()).rejects.toMatchObject({ code: 'ENOENT' });
});
