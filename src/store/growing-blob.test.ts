import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOf } from './content.ts';
import { openStore } from './index.ts';
import type { GrowingBlob, Store } from './index.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-growing-'));
let store: Store;
beforeAll(async () => {
  store = await openStore({ root: join(dir, 'store') });
});
afterAll(() => {
  store.close();
  rmSync(dir, { recursive: true });
});

async function all(blob: GrowingBlob, start = 0): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of blob.read(start)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

test('is read while it is written, from any byte, by several, and after it is whole', async () => {
  const data = randomBytes(3_000_000);
  const writer = await store.createBlob();
  await writer.write(data.subarray(0, 1000));
  const blob = writer.follow();
  const reader = blob.read(0)[Symbol.asyncIterator]();
  expect(Buffer.from((await reader.next()).value as Uint8Array)).toEqual(data.subarray(0, 1000));
  let isWaiting = true;
  const next = reader.next().then((part) => {
    isWaiting = false;
    return Buffer.from(part.value as Uint8Array);
  });
  const [whole, tail] = [all(blob), all(blob, 2_999_990)];
  await new Promise((resolve) => setImmediate(resolve));
  expect(isWaiting).toBe(true);
  await writer.write(data.subarray(1000, 2000));
  expect(await next).toEqual(data.subarray(1000, 2000));
  for (let at = 2000; at < data.length; at += 500_000) await writer.write(data.subarray(at, at + 500_000));
  const committed = await writer.commit();
  expect(await blob.whole).toEqual(committed);
  expect(committed.digest).toBe(digestOf(data));
  expect((await whole).equals(data)).toBe(true);
  expect(await tail).toEqual(data.subarray(2_999_990));
  expect((await all(blob, 500)).equals(data.subarray(500))).toBe(true);
  expect(await all(blob, data.length)).toHaveLength(0);
});

test('who is told to stop reading waits no longer', async () => {
  const writer = await store.createBlob();
  const stop = new AbortController();
  const reader = writer.follow().read(0, stop.signal)[Symbol.asyncIterator]();
  await writer.write(Buffer.from('some'));
  expect((await reader.next()).value).toHaveLength(4);
  const next = reader.next();
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  await writer.abort();
});

test('one that is given up fails who reads it, and leaves nothing', async () => {
  const writer = await store.createBlob();
  const blob = writer.follow();
  await writer.write(Buffer.from('half'));
  const reading = all(blob);
  await writer.abort();
  await expect(reading).rejects.toMatchObject({ name: 'BuildError' });
  await expect(blob.whole).rejects.toMatchObject({ name: 'BuildError' });
  await expect(all(blob)).rejects.toMatchObject({ name: 'BuildError' });
  expect(readdirSync(join(dir, 'store'), { recursive: true }).filter((name) => String(name).endsWith('.blob'))).toEqual(
    [],
  );
});

test('one that is not what was expected fails them too', async () => {
  const writer = await store.createBlob();
  const blob = writer.follow();
  await writer.write(Buffer.from('x'));
  const reading = all(blob);
  await expect(writer.commit({ size: 2 })).rejects.toMatchObject({ code: 'digest-mismatch' });
  await expect(reading).rejects.toMatchObject({ code: 'digest-mismatch' });
});
