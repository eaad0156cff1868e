import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contextId } from './contexts.ts';
import { openStore } from './open.ts';
import { addBlob, addImage, addLayer, addRecord, digest } from './testing/cached-store.ts';
import type { PruneRequest, Store, UsageItem } from './types.ts';

let root: string;
let stores: Store[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-gc-'));
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(root, { recursive: true });
});

async function open(project?: string): Promise<Store> {
  const store = await openStore({ root, project });
  stores.push(store);
  return store;
}

/** In a store of its own, as another process would: what is made in it is no longer held when it is closed. */
async function within<T>(work: (store: Store) => Promise<T>, project?: string): Promise<T> {
  const store = await openStore({ root, project });
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

async function prune(request: PruneRequest = {}) {
  const report = await within(async (store) => await store.prune(request));
  return { ...report, removed: report.removed.map(({ id }) => id).sort() };
}

/** Ages by hours what the database says was used. */
function age(table: 'record' | 'layer' | 'blob' | 'image', key: string, hours: number): void {
  const db = new DatabaseSync(join(root, 'db.sqlite'));
  const column = { record: 'key', layer: 'id', blob: 'digest', image: 'name' }[table];
  const { changes } = db
    .prepare(`UPDATE ${table} SET used = ? WHERE ${column} = ?`)
    .run(Date.now() - hours * 3600 * 1000, key);
  db.close();
  expect(changes).toBe(1);
}

async function isClean(): Promise<void> {
  const { problems, leftovers } = await within(async (store) => await store.verify(true));
  expect({ problems, leftovers }).toEqual({ problems: [], leftovers: [] });
}

describe('a collection', () => {
  test('leaves what images need, removes the rest', async () => {
    const { ids, blobs, manifest } = await within(async (store) => {
      const made = [
        await addLayer(store, 'base'),
        await addLayer(store, 'top'),
        await addLayer(store, 'other'),
      ] as const;
      const packed = [await addBlob(store, made[0], 'base'), await addBlob(store, made[1], 'top')] as const;
      addRecord(store, 'base', [made[0]]);
      addRecord(store, 'top', [made[0], made[1]], ['base']);
      addRecord(store, 'other', [made[0], made[2]], ['base']);
      const layers = [
        { blob: packed[0], diffId: digest('diff base') },
        { blob: packed[1], diffId: digest('diff top') },
      ];
      return { ids: made, blobs: packed, manifest: await addImage(store, 'app', layers) };
    });
    const report = await prune();
    expect(report.removed).toEqual(['base', 'other', 'top']);
    await within(async (store) => {
      expect(store.hasBlob(manifest)).toBe(true);
      expect(blobs.every((blob) => store.hasBlob(blob))).toBe(true);
      // The blob is enough for an image; the directory can be made again from it.
      expect(store.layer(ids[0])).toMatchObject({ hasTree: true, hasDir: false });
      expect(store.layer(ids[2])).toBeUndefined();
      expect(store.findLayer({ diffId: digest('diff top') })).toBe(ids[1]);
      expect(store.findRecord('alias of top')).toBeUndefined();
    });
    expect(existsSync(join(root, 'l', ids[0], 'fs'))).toBe(false);
    expect(existsSync(join(root, 'l', ids[2]))).toBe(false);
    await isClean();
    await within(async (store) => store.removeImage('app'));
    await prune();
    expect(readdirSync(join(root, 'l'))).toEqual([]);
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([]);
    expect((await within(async (store) => await store.usage())).cache).toBe(0);
    await isClean();
  });

  test('leaves the directory of an image layer whose blob is not here', async () => {
    const id = await within(async (store) => {
      const layer = await addLayer(store, 'lazy');
      const diffId = digest('diff lazy');
      const blob = { mediaType: 'm', digest: digest('elsewhere'), size: 3, diffId, repository: 'docker.io/library/x' };
      store.saveLayer(layer, { diffId, blob });
      await addImage(store, 'app', [{ blob: blob.digest, diffId }]);
      return layer;
    });
    await prune({ all: true });
    await within(async (store) => expect(store.layer(id)).toMatchObject({ hasTree: true, hasDir: true }));
    await isClean();
  });

  test('follows an index to its manifests', async () => {
    const blobs = await within(async (store) => {
      const layer = await addLayer(store, 'one');
      const blob = await addBlob(store, layer, 'one');
      const manifest = await addImage(store, 'single', [{ blob, diffId: digest('diff one') }]);
      const index = await store.putBlob(
        Buffer.from(JSON.stringify({ manifests: [{ digest: manifest }, { digest: digest('absent') }] })),
      );
      store.saveImage({ name: 'multi', digest: index.digest, mediaType: 'm', created: 1, origin: 'build' });
      store.removeImage('single');
      return [index.digest, manifest, blob];
    });
    await prune({ all: true });
    await within(async (store) => expect(blobs.map((blob) => store.hasBlob(blob))).toEqual([true, true, true]));
  });

  test('takes pulled bases with all their forms, unless a named image needs them', async () => {
    await within(async (store) => {
      for (const name of ['used', 'unused']) {
        const layer = await addLayer(store, name);
        const blob = await addBlob(store, layer, name, 'docker.io/library/x');
        const layers = [{ blob, diffId: digest(`diff ${name}`) }];
        await addImage(store, `base/${name}`, layers, 'pull');
        if (name === 'used') await addImage(store, 'app', layers);
      }
    });
    const { removed } = await prune();
    expect(removed).toEqual(['base/unused', 'base/used']);
    await within(async (store) => {
      expect(store.images().map(({ name }) => name)).toEqual(['app']);
      expect(store.findLayer({ diffId: digest('diff used') })).toBeDefined();
      expect(store.findLayer({ diffId: digest('diff unused') })).toBeUndefined();
    });
    await isClean();
  });

  test('finds what crashes left: blobs and layers without a row', async () => {
    await within(async (store) => addRecord(store, 'r', [await addLayer(store, 'x')]));
    writeFileSync(join(root, 'blobs/sha256', 'ab'.repeat(32)), 'torn');
    mkdirSync(join(root, 'l/zz000/fs'), { recursive: true });
    const before = await within(async (store) => await store.verify(false));
    expect(before.problems).toEqual([]);
    expect([...before.leftovers].sort()).toEqual([`blob sha256:${'ab'.repeat(32)}`, 'layer zz000']);
    await prune({ keepStorage: () => Number.POSITIVE_INFINITY });
    await within(async (store) => expect(store.findRecord('r')).toBeDefined());
    await isClean();
  });

  test('shows what it would do, and does nothing', async () => {
    await within(async (store) => addRecord(store, 'r', [await addLayer(store, 'x')]));
    const { removed, freed } = await prune({ dryRun: true });
    expect(removed).toEqual(['r']);
    await within(async (store) => expect(store.findRecord('r')).toBeDefined());
    expect((await prune()).freed).toBe(freed);
  });

  test('of one project only', async () => {
    await within(async (store) => addRecord(store, 'one', [await addLayer(store, 'x')]), '/somewhere/one');
    await within(async (store) => addRecord(store, 'two', [await addLayer(store, 'y')]), '/somewhere/two');
    const matches = ({ project }: UsageItem): boolean => project === contextId('/somewhere/one');
    expect((await prune({ matches })).removed).toEqual(['one']);
    await isClean();
  });

  test('a record keeps what it was made on top of as recent as it is itself', async () => {
    await within(async (store) => {
      addRecord(store, 'stage', [await addLayer(store, 'x')]);
      addRecord(store, 'result', [await addLayer(store, 'y')], ['stage']);
      addRecord(store, 'old', [await addLayer(store, 'z')]);
    });
    age('record', 'stage', 50);
    age('record', 'old', 40);
    expect((await prune({ unusedSince: Date.now() - 30 * 3600 * 1000 })).removed).toEqual(['old']);
  });

  test('removes cache mounts, but none that a step has', async () => {
    for (const slot of ['0', '1']) mkdirSync(join(root, 'cache/abc', slot, 'fs'), { recursive: true });
    for (const slot of ['0', '1']) writeFileSync(join(root, 'cache/abc', slot, 'fs/file'), 'x'.repeat(9000));
    writeFileSync(join(root, 'cache/abc/id'), '/npm');
    const store = await open();
    const { closeLockFile, openLockFile, tryFlock } = await import('../sys/flock.ts');
    const lock = openLockFile(join(root, 'cache/abc/1/lock'));
    expect(tryFlock(lock, true)).toBe(true);
    const usage = await store.usage();
    expect(usage.items.filter(({ type }) => type === 'cache-mount').map(({ description }) => description)).toEqual([
      'npm',
      'npm',
    ]);
    expect((await prune()).removed).toEqual(['abc/0']);
    closeLockFile(lock);
    expect((await prune()).removed).toEqual(['abc/1']);
    expect(existsSync(join(root, 'cache/abc/1/fs'))).toBe(false);
  });

  test('removes single files, the longest unused first', async () => {
    const paths = await within(async (store) => {
      const made: string[] = [];
      for (const text of ['one', 'two', 'three']) {
        const writer = await store.createFile();
        await writer.write(Buffer.alloc(5000, text));
        made.push(store.filePath((await writer.commit()).digest));
      }
      return made;
    });
    for (const [i, path] of paths.entries()) utimesSync(path, 1_700_000_000 + i, 1_700_000_000 + i);
    await prune({ keepStorage: () => 2 * 8192 });
    expect(paths.map((path) => existsSync(path))).toEqual([false, true, true]);
  });
});

describe('a bound', () => {
  test('takes second forms before steps, of images the directory, else the blob', async () => {
    const { image, step } = await within(async (store) => {
      const shipped = await addLayer(store, 'image', 50_000);
      const blob = await addBlob(store, shipped, 'image');
      await addImage(store, 'app', [{ blob, diffId: digest('diff image') }]);
      const cached = await addLayer(store, 'step', 50_000);
      await addBlob(store, cached, 'step'.repeat(200));
      addRecord(store, 'image', [shipped]);
      addRecord(store, 'step', [cached]);
      return { image: shipped, step: cached };
    });
    const { removed } = await prune({ keepStorage: () => 70_000 });
    expect(removed).toEqual([]);
    await within(async (store) => {
      expect(store.layer(image)).toMatchObject({ hasDir: false, blobs: [{ local: true }] });
      expect(store.layer(step)).toMatchObject({ hasDir: true });
    });
    await prune({ keepStorage: () => 60_000 });
    // Without its blob it must not say that it has one.
    await within(async (store) => expect(store.layer(step)).toMatchObject({ hasDir: true, blobs: [] }));
    await isClean();
  });

  test('after a build that wrote, when there is too much; what that build has stays', async () => {
    await within(async (store) => {
      addRecord(store, 'old', [await addLayer(store, 'old', 50_000)]);
      addRecord(store, 'older', [await addLayer(store, 'older', 50_000)]);
    });
    age('record', 'older', 2);
    const reader = await open();
    await reader.keepWithin(() => 1);
    expect(reader.findRecord('older')).toBeDefined();
    reader.close();
    const ask = async (bound: number) =>
      await within(async (store) => {
        addRecord(store, `new ${bound}`, [await addLayer(store, `new ${bound}`, 50_000)]);
        store.sync();
        await store.keepWithin(() => bound);
        return ['new 1000000', 'new 180000', 'old', 'older'].map((key) => store.findRecord(key) !== undefined);
      });
    expect(await ask(1_000_000)).toEqual([true, false, true, true]);
    // Down to nine tenths, so that not every build comes here.
    expect(await ask(180_000)).toEqual([true, true, false, false]);
    await isClean();
  });
});

test('what takes room, by kind and by form', async () => {
  await within(async (store) => {
    const layer = await addLayer(store, 'x');
    const blob = await addBlob(store, layer, 'x');
    await addImage(store, 'app', [{ blob, diffId: digest('diff x') }]);
    addRecord(store, 'r', [layer]);
    await store.writeStatCache('/some/context', [Buffer.alloc(9000)]);
  });
  const usage = await within(async (store) => await store.usage());
  expect(usage.types).toMatchObject({
    image: { count: 1 },
    step: { count: 1 },
    context: { count: 1 },
    unused: { count: 0 },
  });
  expect(usage.forms).toMatchObject({ directories: 8192 + 256, files: 0, cacheMounts: 0 });
  expect(usage.items.find(({ type }) => type === 'context')).toMatchObject({
    id: contextId('/some/context'),
    description: '/some/context',
    size: 12_288,
  });
  expect(usage.items.find(({ type }) => type === 'step')).toMatchObject({ shared: false, inUse: false });
  expect(usage.total).toBe(Object.values(usage.forms).reduce((sum, size) => sum + size, 0));
});
