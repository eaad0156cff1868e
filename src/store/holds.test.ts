/** That a collector and those who use the store do not miss each other. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Digest, LayerId } from '../contracts/index.ts';
import { openStore } from './open.ts';
import { addBlob, addLayer, addRecord } from './testing/cached-store.ts';
import type { Store } from './types.ts';

let root: string;
let stores: Store[];
let layer: LayerId;
let blob: Digest;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'slipway-holds-'));
  stores = [];
  const store = await openStore({ root });
  layer = await addLayer(store, 'x');
  blob = await addBlob(store, layer, 'x');
  addRecord(store, 'r', [layer]);
  store.close();
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(root, { recursive: true });
});

async function open(): Promise<Store> {
  const store = await openStore({ root });
  stores.push(store);
  return store;
}

const hasLease = (): boolean => existsSync(join(root, 'tmp')) && readLocks().length > 0;
const readLocks = (): readonly string[] => readdirSync(join(root, 'tmp')).filter((name) => name.endsWith('.lock'));

/** As a collector that was killed right after it had decided. */
function condemn(...rows: readonly (readonly [kind: string, id: string])[]): void {
  const db = new DatabaseSync(join(root, 'db.sqlite'));
  for (const [kind, id] of rows) db.prepare('INSERT INTO condemned VALUES (?, ?)').run(kind, id);
  db.close();
}

describe('who only looks', () => {
  test('makes no lease', async () => {
    const store = await open();
    expect(store.layer(layer)?.hasDir).toBe(true);
    expect(store.hasBlob(blob)).toBe(true);
    expect(hasLease()).toBe(false);
  });

  test('is waited for, and keeps what it saw', async () => {
    const store = await open();
    expect(store.layer(layer)?.hasDir).toBe(true);
    let done = false;
    const pruned = (await open()).prune({}).finally(() => (done = true));
    await sleep(100);
    expect(done).toBe(false);
    expect(existsSync(store.layerDir(layer))).toBe(true);
    // Now it writes, for which it makes a lease.
    store.saveLayer(layer, { size: 7 });
    store.sync();
    expect((await pruned).removed).toEqual([]);
    expect(store.layer(layer)).toMatchObject({ hasDir: true, size: 7 });
    expect(store.findRecord('r')).toBeDefined();
  });

  test('is not waited for by those who came later', async () => {
    const first = await open();
    expect(first.findRecord('r')).toBeDefined();
    first.close();
    const store = await open();
    store.layer(layer);
    const pruned = (await open()).prune({});
    await sleep(50);
    store.close();
    const later = await open();
    later.layer('nothing');
    expect((await pruned).removed).toHaveLength(1);
  });

  test('is given up on when it does not end', async () => {
    const store = await open();
    store.layer(layer);
    const before = AbortSignal.timeout(100);
    await expect((await open()).prune({ signal: before })).rejects.toMatchObject({ code: 'cancelled' });
    expect(store.layer(layer)?.hasDir).toBe(true);
    store.close();
    const { leftovers, problems } = await (await open()).verify(true);
    expect({ leftovers, problems }).toEqual({ leftovers: [], problems: [] });
  });

  test('takes a lease when it looks for long', async () => {
    const store = await open();
    store.layer(layer);
    const pruned = await (await open()).prune({});
    expect(pruned.removed).toEqual([]);
    expect(hasLease()).toBe(true);
    expect(store.layer(layer)?.hasDir).toBe(true);
  });
});

describe('what is held by a lease stays', () => {
  test.each(['layer', 'blob', 'new layer', 'single file'] as const)('%s', async (what) => {
    const store = await open();
    store.tempPath('makes a lease');
    let isThere: () => boolean;
    switch (what) {
      case 'layer':
        isThere = () => store.layer(layer)?.hasDir === true && existsSync(store.layerDir(layer)) && store.hasBlob(blob);
        break;
      case 'blob':
        isThere = () => store.hasBlob(blob);
        break;
      case 'new layer': {
        const made = await addLayer(store, 'new');
        store.sync();
        isThere = () => store.layer(made)?.hasDir === true && existsSync(store.layerDir(made));
        break;
      }
      case 'single file': {
        const writer = await store.createFile();
        await writer.write(Buffer.from('content'));
        const { digest } = await writer.commit();
        isThere = () => store.hasFile(digest);
      }
    }
    expect(isThere()).toBe(true);
    const other = await open();
    await other.prune({ all: true });
    expect(isThere()).toBe(true);
    store.close();
    other.close();
    await (await open()).prune({ all: true });
    const { layers, blobs } = await (await open()).verify(true);
    expect({ layers, blobs }).toEqual({ layers: 0, blobs: 0 });
  });
});

describe('what is condemned', () => {
  test('is rescued by who finds it, for good', async () => {
    condemn(['layer', layer], ['dir', layer], ['blob', blob]);
    const store = await open();
    expect(store.layer(layer)).toMatchObject({ hasDir: true, hasTree: true, blobs: [{ local: true }] });
    const pruned = await (await open()).prune({});
    expect(pruned.removed).toEqual([]);
    expect(existsSync(store.layerDir(layer))).toBe(true);
    expect(store.hasBlob(blob)).toBe(true);
  });

  test('is rescued as far as it is still there', async () => {
    condemn(['dir', layer]);
    rmSync(join(root, 'l', layer, 'fs'), { recursive: true });
    const store = await open();
    expect(store.layer(layer)).toMatchObject({ hasDir: false, hasTree: true });
    expect((await store.verify(true)).problems).toEqual([]);
  });

  test('is removed by the next collection, whatever that is asked for', async () => {
    condemn(['dir', layer]);
    rmSync(join(root, 'l', layer, 'fs'), { recursive: true });
    const before = await (await open()).verify(true);
    expect(before).toMatchObject({ problems: [], leftovers: [`condemned dir/${layer}`] });
    await (await open()).prune({ matches: () => false });
    const store = await open();
    expect(store.layer(layer)).toMatchObject({ hasDir: false, hasTree: true, blobs: [{ local: true }] });
    expect(await store.verify(true)).toMatchObject({ problems: [], leftovers: [] });
  });

  test('comes back when it is written again', async () => {
    condemn(['blob', blob]);
    const store = await open();
    const { digest } = await store.putBlob(Buffer.from('x'.repeat(100)));
    expect(digest).toBe(blob);
    await (await open()).prune({ all: true });
    expect(store.hasBlob(blob)).toBe(true);
  });
});

test('who waits for a lock sees what the one before did', async () => {
  const [first, second] = [await open(), await open()];
  const lock = await first.lock('x', {});
  second.layer(layer);
  expect(second.findRecord('made')).toBeUndefined();
  const waiting = second.lock('x', {});
  addRecord(first, 'made', [layer]);
  lock.release();
  (await waiting).release();
  expect(second.findRecord('made')).toBeDefined();
});
