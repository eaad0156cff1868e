import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { readLayer } from './layer-tree.ts';
import { readBlob } from './read-blob.ts';

/** Large enough for a thread. */
let tar: Buffer;
let blob: Buffer;
beforeAll(async () => {
  const archive = pack();
  const noise = randomBytes(1 << 20);
  for (let i = 0; i < 20; i++) archive.entry({ name: `d/f${i}`, mode: 0o644 }, noise);
  archive.entry({ name: 'd/link', type: 'symlink', linkname: 'f1' });
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  tar = Buffer.concat(parts);
  blob = gzipSync(tar, { level: 1 });
});

async function* parts(bytes: Buffer, size = 70_001): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const options = (bytes: Buffer) => ({ name: 'a layer', size: bytes.length, signal: new AbortController().signal });

describe('a large blob, read on a thread', () => {
  it('gives what reading it here gives', async () => {
    expect(blob.length).toBeGreaterThan(16 << 20);
    const here = await readLayer(parts(tar));
    const there = await readBlob(parts(blob), options(blob));
    expect(there.diffId).toBe(here.diffId);
    expect(there.contentSize).toBe(here.contentSize);
    expect([...there.tree]).toEqual([...here.tree]);
  });

  it.each([
    ['cut short', () => blob.subarray(0, -1000)],
    ['damaged', () => Buffer.concat([blob.subarray(0, 1 << 20), Buffer.alloc(1 << 20), blob.subarray(2 << 20)])],
    ['no archive', () => gzipSync(Buffer.alloc(20 << 20, 'x'), { level: 0 })],
  ])('fails when it is %s', async (_, make) => {
    const bytes = make();
    const reading = readBlob(parts(bytes), { ...options(bytes), size: 20 << 20 });
    await expect(reading).rejects.toMatchObject({ name: 'BuildError', code: 'hostile' });
  });

  it('passes on what goes wrong at its source', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* parts(blob.subarray(0, 1 << 20));
      throw new Error('the network is gone');
    }
    await expect(readBlob(broken(), options(blob))).rejects.toThrow('the network is gone');
  });
});
