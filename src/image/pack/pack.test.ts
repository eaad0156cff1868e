import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ContentLocation, Layer, Tree, TreeEntry, TreePath } from '../../contracts/index.ts';
import { compareTreePaths, openStore } from '../../store/index.ts';
import type { Store } from '../../store/index.ts';
import { digestOf } from '../chain-id.ts';
import { decompress } from '../decompress.ts';
import { readLayer } from '../layer-tree.ts';
import { packLayer } from './pack.ts';
import { planTar } from './plan.ts';

let dir = '';
let store: Store;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'slipway-pack-'));
  store = await openStore({ root: join(dir, 'store') });
});
afterAll(() => {
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

const meta = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000, mtimeNsec: 0 };

/** A layer whose files' bytes are strings. */
function layerOf(entries: Record<string, TreeEntry | string>, overrides: Partial<Layer> = {}): Layer {
  const bytes = new Map<TreePath, Buffer>();
  const tree: Tree = new Map(
    Object.entries(entries)
      .sort(([a], [b]) => compareTreePaths(a, b))
      .map(([path, entry]) => {
        if (typeof entry !== 'string') return [path, entry];
        bytes.set(path, Buffer.from(entry));
        return [path, { type: 'file', ...meta, size: Buffer.byteLength(entry), digest: digestOf(entry) }];
      }),
  );
  return {
    id: store.newLayer(),
    tree: async () => tree,
    digests: async () => [],
    locate: async (paths) =>
      Array.from(paths, (path): ContentLocation => ({ kind: 'bytes', data: bytes.get(path) ?? Buffer.alloc(0) })),
    blob: async () => undefined,
    ...overrides,
  };
}

const gzip = { compression: 'gzip' } as const;
const readBack = (digest: `sha256:${string}`): ReturnType<typeof readLayer> =>
  readLayer(decompress(createReadStream(store.blobPath(digest))));

const sample = (): Layer =>
  layerOf({
    a: { type: 'directory', ...meta, mode: 0o1777 },
    'a/file': 'hello\n',
    'a/hard': { type: 'file', ...meta, size: 6, digest: digestOf('hello\n'), hardlink: 'a/file' },
    'a/empty': { type: 'file', ...meta, size: 0, digest: digestOf('') },
    'a/link': { type: 'symlink', ...meta, mode: 0o777, target: '../b' },
    'a/socket': { type: 'socket', ...meta },
    b: {
      type: 'file',
      ...meta,
      mode: 0o4755,
      uid: 1000,
      gid: 3_000_000,
      size: 0,
      xattrs: new Map([['security.capability', Buffer.from([1, 0, 0, 2])]]),
    },
    'dev/null': { type: 'char-device', ...meta, major: 1, minor: 3 },
    'dev/pipe': { type: 'fifo', ...meta },
    gone: { type: 'whiteout' },
    new: { type: 'directory', ...meta, opaque: true },
    'ünïcode-\udcff': 'x',
  });

test('where a file is is asked when its header is written', () => {
  const entry: TreeEntry = { type: 'file', ...meta, size: 1 };
  const tree = new Map(Array.from({ length: 5000 }, (_, i) => [`f${10_000 + i}`, entry]));
  let asked = 0;
  const locations = Iterator.from(tree.keys()).map((): ContentLocation => {
    asked++;
    return { kind: 'bytes', data: Buffer.from('x') };
  });
  const pieces = planTar(tree, locations, {});
  let had = 0;
  for (const { data } of pieces) {
    had += data.length;
    expect(asked).toBe(had);
    expect(data.length).toBeLessThan(1000);
  }
  expect(had).toBe(5000);
});

describe('a packed layer', () => {
  test('has the same bytes everywhere, and as before (golden)', async () => {
    const blob = await packLayer(sample(), store, { compression: 'uncompressed' });
    expect(blob).toMatchObject({ mediaType: 'application/vnd.oci.image.layer.v1.tar', diffId: blob.digest });
    expect(blob.diffId).toBe('sha256:5f070357aec2590c33622d370d3a488729c808b09d2de1804ed4a8f27a0a0383');
  });

  test('reads back as its tree', async () => {
    const layer = sample();
    const blob = await packLayer(layer, store, gzip);
    const read = await readBack(blob.digest);
    const expected = new Map([...(await layer.tree())].filter(([, entry]) => entry.type !== 'socket'));
    const plain = (tree: Tree): unknown[] =>
      [...tree].map(([path, entry]) => [
        path,
        {
          ...entry,
          digest: undefined,
          xattrs:
            'xattrs' in entry && entry.xattrs !== undefined
              ? [...entry.xattrs].map(([k, v]) => [k, [...v]])
              : undefined,
        },
      ]);
    expect(plain(read.tree)).toEqual(plain(expected));
    expect(read.diffId).toBe(blob.diffId);
  });

  test('is what GNU tar understands', async () => {
    const blob = await packLayer(sample(), store, gzip);
    const out = join(dir, 'x.tar.gz');
    writeFileSync(out, readFileSync(store.blobPath(blob.digest)));
    const list = execFileSync('tar', ['-tzvf', out, '--numeric-owner', '--utc'], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    });
    expect(
      list
        .split('\n')
        .map((line) => line.replace(/ +/g, ' '))
        .filter((line) => line !== ''),
    ).toEqual([
      'drwxrwxrwt 0/0 0 2023-11-14 22:13 a/',
      '-rw-r--r-- 0/0 0 2023-11-14 22:13 a/empty',
      '-rw-r--r-- 0/0 6 2023-11-14 22:13 a/file',
      'hrw-r--r-- 0/0 0 2023-11-14 22:13 a/hard link to a/file',
      'lrwxrwxrwx 0/0 0 2023-11-14 22:13 a/link -> ../b',
      '-rwsr-xr-x 1000/3000000 0 2023-11-14 22:13 b',
      'crw-r--r-- 0/0 1,3 2023-11-14 22:13 dev/null',
      'prw-r--r-- 0/0 0 2023-11-14 22:13 dev/pipe',
      '---------- 0/0 0 1970-01-01 00:00 .wh.gone',
      'drw-r--r-- 0/0 0 2023-11-14 22:13 new/',
      '---------- 0/0 0 1970-01-01 00:00 new/.wh..wh..opq',
      '-rw-r--r-- 0/0 1 2023-11-14 22:13 \\303\\274n\\303\\257code-\\377',
    ]);
  });

  test('is recorded in the store and found again', async () => {
    const layer = layerOf({ f: 'found again' });
    const blob = await packLayer(layer, store, gzip);
    const row = store.layer(layer.id);
    expect(row).toMatchObject({ diffId: blob.diffId, size: 11 });
    expect(row?.blobs[0]).toMatchObject({ digest: blob.digest, local: true });
    expect(row?.blobs[0]?.compressor).toMatch(/^zlib .*gzip-4/);
    const fails = { ...layer, tree: () => Promise.reject(new Error('not to be asked')) };
    expect(await packLayer(fails, store, gzip)).toEqual(blob);
  });

  test('of another compression is made from the first blob, with the same diff ID', async () => {
    const layer = layerOf({ f: 'transcoded '.repeat(1000) });
    const first = await packLayer(layer, store, gzip);
    const again: Layer = {
      ...layer,
      tree: () => Promise.reject(new Error('not to be asked')),
      blob: async () => first,
    };
    const zstd = await packLayer(again, store, { compression: 'zstd' });
    expect(zstd).toMatchObject({ diffId: first.diffId, mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' });
    const tar = zstdDecompressSync(readFileSync(store.blobPath(zstd.digest)));
    expect(tar.equals(gunzipSync(readFileSync(store.blobPath(first.digest))))).toBe(true);
    expect(store.layer(layer.id)?.blobs).toHaveLength(2);
    const other = await packLayer(again, store, { compression: 'gzip', level: 9 });
    expect(other.digest).not.toBe(first.digest);
    expect(await packLayer(again, store, { compression: 'gzip', level: 9 })).toEqual(other);
  });

  test('that lies about its diff ID is refused', async () => {
    const layer = layerOf({ f: 'liar' });
    const blob = { ...(await packLayer(layer, store, gzip)), diffId: digestOf('something else') };
    await expect(packLayer({ ...layer, blob: async () => blob }, store, { compression: 'zstd' })).rejects.toMatchObject(
      { code: 'digest-mismatch' },
    );
  });
});

describe('times', () => {
  test('are cut to seconds', async () => {
    const at = (mtimeNsec: number): Layer => layerOf({ d: { type: 'directory', ...meta, mtimeNsec } });
    expect((await packLayer(at(0), store, gzip)).diffId).toBe((await packLayer(at(999_999_999), store, gzip)).diffId);
  });

  test('later than the epoch become the epoch, in a layer of its own', async () => {
    const layer = layerOf({ d: { type: 'directory', ...meta }, old: { type: 'fifo', ...meta, mtime: 5 } });
    const plain = await packLayer(layer, store, gzip);
    const clamped = await packLayer(layer, store, { ...gzip, epoch: 1000 });
    expect(clamped.diffId).not.toBe(plain.diffId);
    expect(store.layer(layer.id)?.diffId).toBe(plain.diffId);
    const { tree } = await readBack(clamped.digest);
    expect([...tree.values()].map((entry) => (entry.type === 'whiteout' ? 0 : entry.mtime))).toEqual([1000, 5]);
    expect(await packLayer(layer, store, { ...gzip, epoch: 1000 })).toEqual(clamped);
    expect(await packLayer(layer, store, { ...gzip, epoch: 2_000_000_000 })).toEqual(plain);
  });
});

describe('files of the user', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(dir, 'context-'));
  });
  const contextLayer = (names: readonly string[], text = (name: string): string => name): Layer => {
    mkdirSync(root, { recursive: true });
    for (const name of names) writeFileSync(join(root, name), text(name));
    return layerOf(Object.fromEntries(names.map((name) => [name, text(name)])), {
      locate: async (paths) => Array.from(paths, (path) => ({ kind: 'context-file', path: join(root, path) })),
    });
  };

  test('many go through a thread and come out as through none', async () => {
    const names = Array.from({ length: 700 }, (_, i) => `file-${i}`);
    const blob = await packLayer(contextLayer(names), store, gzip);
    const { tree } = await readBack(blob.digest);
    expect([...tree.keys()]).toEqual([...names].sort());
    expect(tree.get('file-17')).toMatchObject({ digest: digestOf('file-17') });
    const here = layerOf(Object.fromEntries([...tree.keys()].map((name) => [name, name])));
    expect((await packLayer({ ...here, id: store.newLayer() }, store, { compression: 'zstd' })).diffId).toBe(
      blob.diffId,
    );
  });

  test('of many megabytes keep their order and bytes', async () => {
    const text = (name: string): string => `${name} `.repeat(700_000);
    const progress: number[] = [];
    const layer = contextLayer(['one', 'two', 'three'], text);
    const blob = await packLayer(layer, store, { ...gzip, onProgress: (done, total) => progress.push(done / total) });
    const read = await readBack(blob.digest);
    expect(read.tree.get('three')).toMatchObject({ digest: digestOf(text('three')), size: text('three').length });
    expect(progress.at(-1)).toBeCloseTo(1, 1);
  });

  test.each<[string, (path: string) => void]>([
    ['other bytes of the same size', (path) => writeFileSync(path, 'ELIF-3')],
    ['shorter', (path) => writeFileSync(path, 'fi')],
    ['gone', (path) => rmSync(path)],
    [
      'a link to another file now',
      (path) => {
        rmSync(path);
        symlinkSync('/etc/passwd', path);
      },
    ],
    [
      'a fifo now',
      (path) => {
        rmSync(path);
        execFileSync('mkfifo', [path]);
      },
    ],
    [
      'a directory now',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])('%s: the layer is refused and nothing is left', async (_, change) => {
    for (const count of [10, 600]) {
      const layer = contextLayer(Array.from({ length: count }, (__, i) => `file-${i}`));
      change(join(root, 'file-3'));
      const error: unknown = await packLayer(layer, store, gzip).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'context', message: expect.stringContaining('file-3') as string });
      expect(store.layer(layer.id)?.blobs).toEqual([]);
      rmSync(root, { recursive: true });
    }
  });

  test('a build that was cancelled packs nothing', async () => {
    const layer = contextLayer(['a'], () => 'x'.repeat(5_000_000));
    const controller = new AbortController();
    controller.abort();
    await expect(packLayer(layer, store, { ...gzip, signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});

test('a file that would be read back as a whiteout', async () => {
  await expect(packLayer(layerOf({ 'a/.wh.x': 'x' }), store, gzip)).rejects.toMatchObject({ code: 'unsupported' });
});

test('two layers of equal content share their blob', async () => {
  const one = await packLayer(layerOf({ f: 'twin' }), store, gzip);
  const two = await packLayer(layerOf({ f: 'twin' }), store, gzip);
  expect(two).toEqual(one);
});
