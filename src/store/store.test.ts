import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Digest, Tree } from '../contracts/index.ts';
import { MIGRATIONS } from './schema.ts';
import { defaultRoot, openStore, storeLayout, type CacheRecord, type Store } from './index.ts';

let root = '';
let store: Store;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'slipway-store-'));
  store = await openStore({ root });
});
afterEach(() => {
  store.close();
  rmSync(root, { recursive: true, force: true });
});

async function reopen(): Promise<void> {
  store.close();
  store = await openStore({ root });
}

function sha(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

const TREE: Tree = new Map([['a', { type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 1, mtimeNsec: 2, size: 3 }]]);

describe('default root', () => {
  test.each([
    [{ SLIPWAY_ROOT: '/x' }, 1000, '/x'],
    [{ SLIPWAY_ROOT: '', HOME: '/h' }, 1000, '/h/.local/share/slipway'],
    [{ HOME: '/h', XDG_DATA_HOME: '/data' }, 1000, '/data/slipway'],
    [{ HOME: '/h', XDG_DATA_HOME: 'relative' }, 1000, '/h/.local/share/slipway'],
    [{ HOME: '/h', XDG_DATA_HOME: '/data' }, 0, '/var/lib/slipway'],
  ])('%j of uid %d is %s', (env, uid, expected) => {
    expect(defaultRoot(env, uid)).toBe(expected);
  });
});

describe('layout', () => {
  const layout = storeLayout('/r');

  test.each(['../../etc', '/etc/passwd', 'a\0b', '', 'x'.repeat(5000)])(
    'no path is made from the cache id %j',
    (id) => {
      expect(layout.cacheDir(id)).toMatch(/^\/r\/cache\/[0-9a-f]{32}$/);
      expect(layout.lockPath(id)).toMatch(/^\/r\/locks\/[0-9a-f]{32}$/);
      expect(layout.statCachePath(id)).toMatch(/^\/r\/statcache\/[0-9a-f]{32}$/);
    },
  );

  test.each(['..', '../x', 'A', '', 'a/b', 'x'.repeat(17)])('%j is no layer id', (id) => {
    expect(() => layout.layerDir(id)).toThrow(/not a layer id/);
    expect(() => layout.treePath(id)).toThrow(/not a layer id/);
  });

  test.each(['sha256:../../x', `sha256:${'A'.repeat(64)}`, 'sha256:', `sha512:${'a'.repeat(64)}x`])(
    '%j is no digest',
    (text) => {
      expect(() => layout.blobPath(text as Digest)).toThrow(/not a sha256 digest/);
      expect(() => layout.filePath(text as Digest)).toThrow(/not a sha256 digest/);
    },
  );

  test('blobs lie as in an OCI layout', () => {
    expect(layout.blobPath(sha('x'))).toBe(`/r/blobs/sha256/${sha('x').slice(7)}`);
  });
});

describe('blobs', () => {
  test('written in pieces, found, read, kept', async () => {
    const writer = await store.createBlob();
    for (const piece of ['hel', 'lo', '']) await writer.write(Buffer.from(piece));
    expect(store.hasBlob(sha('hello'))).toBe(false);
    expect(await writer.commit({ digest: sha('hello'), size: 5 })).toEqual({ digest: sha('hello'), size: 5 });
    expect(store.hasBlob(sha('hello'))).toBe(true);
    await reopen();
    expect(store.hasBlob(sha('hello'))).toBe(true);
    expect(Buffer.from(await store.readBlob(sha('hello'))).toString()).toBe('hello');
    expect(readFileSync(store.blobPath(sha('hello')), 'utf8')).toBe('hello');
    expect(statSync(store.blobPath(sha('hello'))).mode & 0o777).toBe(0o600);
  });

  test.each([
    [{ digest: sha('other') }, /has the digest/],
    [{ size: 6 }, /should have 6 bytes, 5 came/],
    [{ digest: sha('hello'), size: 4 }, /should have 4 bytes/],
  ])('what is not as expected is not kept: %j', async (expected, message) => {
    const writer = await store.createBlob();
    await writer.write(Buffer.from('hello'));
    await expect(writer.commit(expected)).rejects.toMatchObject({
      code: 'digest-mismatch',
      message: expect.stringMatching(message) as string,
    });
    expect(store.hasBlob(sha('hello'))).toBe(false);
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([]);
    expect(temporaryFiles()).toEqual([]);
  });

  test('an aborted one leaves nothing, and cannot be gone on with', async () => {
    const writer = await store.createBlob();
    await writer.write(Buffer.from('hello'));
    await writer.abort();
    await writer.abort();
    await expect(writer.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'internal' });
    await expect(writer.commit()).rejects.toMatchObject({ code: 'internal' });
    expect(temporaryFiles()).toEqual([]);
  });

  test('pieces that nobody waited for are in order, also when it is aborted meanwhile', async () => {
    const pieces = Array.from({ length: 50 }, (_, i) => Buffer.alloc(10_000 + i, i));
    const writer = await store.createBlob();
    const writes = pieces.map((piece) => writer.write(piece));
    const { digest } = await writer.commit();
    await Promise.all(writes);
    expect(readFileSync(store.blobPath(digest)).equals(Buffer.concat(pieces))).toBe(true);
    const other = await store.createBlob();
    const lost = other.write(Buffer.alloc(1 << 20));
    await other.abort();
    await lost;
    expect(temporaryFiles()).toEqual([]);
  });

  test('documents; twice is once', async () => {
    const first = await store.putBlob(Buffer.from('{}'));
    const { ino } = statSync(store.blobPath(first.digest));
    expect(await store.putBlob(Buffer.from('{}'))).toEqual({ digest: sha('{}'), size: 2 });
    expect(statSync(store.blobPath(first.digest)).ino).toBe(ino);
  });

  test('a damaged document is not handed out; a missing one is named', async () => {
    const { digest } = await store.putBlob(Buffer.from('{"a":1}'));
    writeFileSync(store.blobPath(digest), '{"a":2}');
    await expect(store.readBlob(digest)).rejects.toMatchObject({ code: 'store' });
    await expect(store.readBlob(sha('none'))).rejects.toMatchObject({
      code: 'store',
      message: expect.stringContaining(sha('none')) as string,
    });
  });

  test('a blob that somebody removed is gone', async () => {
    const { digest } = await store.putBlob(Buffer.from('x'));
    rmSync(store.blobPath(digest));
    expect(store.hasBlob(digest)).toBe(false);
    await store.putBlob(Buffer.from('x'));
    expect(store.hasBlob(digest)).toBe(true);
  });

  function temporaryFiles(): string[] {
    return readdirSync(join(root, 'tmp'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('.blob'),
    );
  }
});

test('single files are written, found and kept apart from blobs', async () => {
  const writer = await store.createFile();
  await writer.write(Buffer.from('data'));
  await writer.commit({ digest: sha('data') });
  expect(store.hasFile(sha('data'))).toBe(true);
  expect(store.hasBlob(sha('data'))).toBe(false);
  expect(readFileSync(store.filePath(sha('data')), 'utf8')).toBe('data');
  expect(store.hasFile(sha('none'))).toBe(false);
  await reopen();
  expect(store.hasFile(sha('data'))).toBe(true);
});

describe('layers', () => {
  test('ids are short, base36 and new', async () => {
    const ids = Array.from({ length: 100 }, () => store.newLayer());
    await reopen();
    ids.push(store.newLayer());
    expect(new Set(ids).size).toBe(101);
    for (const id of ids) expect(id).toMatch(/^[0-9a-z]{4,6}$/);
  });

  test('grow by what becomes known, before and after a batch', async () => {
    const id = store.newLayer();
    const nothing = { id, diffId: undefined, blobs: [], hasTree: false, hasDir: false, size: undefined };
    expect(store.layer(id)).toEqual(nothing);
    await store.writeTree(id, TREE);
    store.saveLayer(id, { size: 3 });
    expect(store.layer(id)).toEqual({ ...nothing, hasTree: true, size: 3 });
    await reopen();
    const { digest } = await store.putBlob(Buffer.from('compressed'));
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 10, diffId: sha('tar') };
    store.saveLayer(id, { blob: { ...blob, compressor: 'zlib 1.3.1 gzip-4' } });
    store.saveLayer(id, { dir: true });
    const other = { ...blob, digest: sha('remote'), annotations: { a: 'b' } };
    store.saveLayer(id, { blob: { ...other, repository: 'docker.io/library/x' } });
    store.saveLayer(id, { blob: { ...other, annotations: undefined, repository: 'docker.io/library/a' } });
    const expected = {
      id,
      diffId: sha('tar'),
      hasTree: true,
      hasDir: true,
      size: 3,
      blobs: [
        { ...blob, annotations: undefined, local: true, compressor: 'zlib 1.3.1 gzip-4', repositories: [] },
        { ...other, local: false, compressor: undefined, repositories: ['docker.io/library/a', 'docker.io/library/x'] },
      ],
    };
    expect(store.layer(id)).toEqual(expected);
    store.sync();
    expect(store.layer(id)).toEqual(expected);
    await reopen();
    expect(store.layer(id)).toEqual(expected);
    expect([...(await store.readTree(id))]).toEqual([...TREE]);
  });

  test('are found by diff ID and by blob, the one with a directory first', async () => {
    const a = store.newLayer();
    store.saveLayer(a, { diffId: sha('tar') });
    expect(store.findLayer({ diffId: sha('tar') })).toBe(a);
    store.sync();
    const b = store.newLayer();
    store.saveLayer(b, { dir: true, blob: { mediaType: 'm', digest: sha('z'), size: 1, diffId: sha('tar') } });
    expect(store.findLayer({ blob: sha('z') })).toBe(b);
    store.sync();
    expect(store.findLayer({ diffId: sha('tar') })).toBe(b);
    expect(store.findLayer({ blob: sha('z') })).toBe(b);
    expect(store.findLayer({ blob: sha('y') })).toBeUndefined();
    expect(store.findLayer({ diffId: sha('y') })).toBeUndefined();
    expect(store.layer('zzzz')).toBeUndefined();
  });

  test('that were not saved go when the store is closed', async () => {
    const id = store.newLayer();
    mkdirSync(join(store.layerDir(id), 'sub'), { recursive: true });
    const saved = store.newLayer();
    store.saveLayer(saved, { size: 0 });
    await reopen();
    expect(store.layer(id)).toBeUndefined();
    expect(readdirSync(join(root, 'l'))).toEqual([saved]);
    await expect(store.readTree(saved)).rejects.toMatchObject({ code: 'store' });
  });

  test('digests on demand', async () => {
    const id = store.newLayer();
    store.saveLayer(id, { size: 1 });
    expect(store.readDigests(id, ['a'])).toEqual([undefined]);
    store.writeDigests(
      id,
      new Map([
        ['a', sha('1')],
        ['d/ü', sha('2')],
      ]),
    );
    store.writeDigests(
      id,
      new Map([
        ['f\udcff', sha('3')],
        ['a', sha('1')],
      ]),
    );
    const expected = [sha('3'), undefined, sha('1'), sha('2')];
    expect(store.readDigests(id, ['f\udcff', 'none', 'a', 'd/ü'])).toEqual(expected);
    await reopen();
    expect(store.readDigests(id, ['f\udcff', 'none', 'a', 'd/ü'])).toEqual(expected);
    // A torn last batch takes only itself.
    const log = storeLayout(root).digestsPath(id);
    writeFileSync(log, readFileSync(log).subarray(0, -1));
    await reopen();
    expect(store.readDigests(id, ['f\udcff', 'a'])).toEqual([undefined, sha('1')]);
  });
});

describe('records', () => {
  const record: CacheRecord = {
    key: 'k1',
    outputs: [['1000', '1001'], []],
    created: 5,
    description: 'RUN x',
    inputs: '{"a":1}',
  };

  test('are found by key and alias, before and after a batch', async () => {
    store.saveRecord(record);
    store.aliasRecord('definition', 'k1');
    store.aliasRecord('k1', 'k1');
    for (const when of ['waiting', 'flushed', 'reopened']) {
      if (when === 'flushed') store.sync();
      if (when === 'reopened') await reopen();
      expect(store.findRecord('k1')).toEqual(record);
      expect(store.findRecord('definition')).toEqual(record);
      expect(store.findRecord('other')).toBeUndefined();
    }
    store.saveRecord({ ...record, created: 6 });
    expect(store.findRecord('definition')?.created).toBe(6);
    store.aliasRecord('definition', 'k2');
    expect(store.findRecord('definition')).toBeUndefined();
  });

  test('a batch goes to disk by itself', async () => {
    store.saveRecord(record);
    const other = new DatabaseSync(join(root, 'db.sqlite'), { readOnly: true });
    const count = (): unknown => other.prepare('SELECT count(*) AS n FROM record').get()?.['n'];
    expect(count()).toBe(0);
    await vi.waitFor(() => expect(count()).toBe(1), { timeout: 10_000 });
    other.close();
  });

  test('a build that finds all writes nothing', async () => {
    store.saveRecord(record);
    await reopen();
    const before = statSync(join(root, 'db.sqlite')).mtimeMs;
    store.findRecord('k1');
    store.layer('1000');
    store.hasBlob(sha('x'));
    await reopen();
    expect(statSync(join(root, 'db.sqlite')).mtimeMs).toBe(before);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });
});

test('images', async () => {
  const row = {
    name: 'docker.io/library/x:latest',
    digest: sha('m'),
    mediaType: 'm',
    created: 5,
    origin: 'build' as const,
  };
  store.saveImage(row);
  store.saveImage({ ...row, name: 'docker.io/library/y:1', created: 9, origin: 'pull' });
  store.saveImage({ ...row, digest: sha('n') });
  await reopen();
  expect(store.images()).toEqual([
    { ...row, name: 'docker.io/library/y:1', created: 9, origin: 'pull' },
    { ...row, digest: sha('n') },
  ]);
  expect(store.image(row.name)?.digest).toBe(sha('n'));
  expect(store.removeImage(row.name)).toBe(true);
  expect(store.removeImage(row.name)).toBe(false);
  await reopen();
  expect(store.image(row.name)).toBeUndefined();
});

test('facts', async () => {
  store.writeFact('size', '5');
  expect(store.readFact('size')).toBe('5');
  await reopen();
  expect(store.readFact('size')).toBe('5');
  expect(store.readFact('none')).toBeUndefined();
});

test('stat caches, and damaged ones that never were', async () => {
  expect(await store.readStatCache('/ctx')).toBeUndefined();
  await store.writeStatCache('/ctx', [Buffer.from('one')]);
  await store.writeStatCache('/ctx', [Buffer.from('two')]);
  await store.writeStatCache('/other', [Buffer.alloc(0)]);
  await reopen();
  expect(Buffer.from((await store.readStatCache('/ctx')) ?? []).toString()).toBe('two');
  expect(await store.readStatCache('/other')).toHaveLength(0);
  const [file] = readdirSync(join(root, 'statcache'))
    .map((name) => join(root, 'statcache', name))
    .filter((path) => statSync(path).size > 4);
  writeFileSync(file ?? '', 'damaged');
  expect(await store.readStatCache('/ctx')).toBeUndefined();
});

describe('temporary paths and locks', () => {
  test('paths are new, theirs to use, and gone at the end', () => {
    const a = store.tempPath('.x');
    const b = store.tempPath('.x');
    expect(a).not.toBe(b);
    mkdirSync(a);
    writeFileSync(b, '');
    expect(() => store.tempPath('/../../x')).toThrow(/not a suffix/);
    store.close();
    expect(existsSync(a) || existsSync(b)).toBe(false);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  test('one at a time, or many readers; nothing is left', async () => {
    const order: string[] = [];
    const first = await store.lock('k', {});
    const second = store.lock('k', {}).then((lock) => {
      order.push('second');
      lock.release();
    });
    const other = await store.lock('other', {});
    order.push('first');
    first.release();
    first.release();
    await second;
    expect(order).toEqual(['first', 'second']);
    const readers = await Promise.all([store.lock('k', { shared: true }), store.lock('k', { shared: true })]);
    const controller = new AbortController();
    const waiting = store.lock('k', { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    for (const lock of [...readers, other]) lock.release();
    expect(readdirSync(join(root, 'locks'))).toEqual(['init']);
  });

  test('many wait for one lock and each gets it', async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const lock = await store.lock('busy', {});
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        lock.release();
      }),
    );
    expect(most).toBe(1);
  });
});

describe('a state directory that cannot be used', () => {
  beforeEach(() => {
    store.close();
  });

  test.each([
    ['newer', () => writeFileSync(join(root, 'version'), '99\n'), /newer version.* format 99, this one knows 1$/],
    ['of a version that never was', () => writeFileSync(join(root, 'version'), '0\n'), /does not hold the version/],
    [
      "somebody else's",
      () => {
        rmSync(join(root, 'version'));
        writeFileSync(join(root, 'thesis.tex'), '');
      },
      /no state directory of slipway: .* thesis\.tex$/,
    ],
    ['strange', () => writeFileSync(join(root, 'version'), 'hello'), /does not hold the version/],
    [
      'with a newer database',
      () => new DatabaseSync(join(root, 'db.sqlite')).exec('PRAGMA user_version=99'),
      /newer version.* tables of version 99, this one knows \d+$/,
    ],
    [
      'with a damaged database',
      () => writeFileSync(join(root, 'db.sqlite'), 'not a database at all'.repeat(100)),
      /damaged/,
    ],
  ])('%s', async (_, spoil, message) => {
    spoil();
    await expect(openStore({ root })).rejects.toMatchObject({
      code: 'store',
      message: expect.stringMatching(message) as string,
      hint: expect.any(String) as string,
    });
  });

  test('that is only half made is made whole', async () => {
    rmSync(join(root, 'version'));
    (await openStore({ root })).close();
    expect(readFileSync(join(root, 'version'), 'utf8')).toBe('1\n');
  });

  test('an older database is kept beside the new one', async () => {
    const path = join(root, 'db.sqlite');
    for (const name of readdirSync(root)) if (name.startsWith('db.sqlite')) rmSync(join(root, name));
    const old = new DatabaseSync(path);
    old.exec(`PRAGMA journal_mode=WAL; ${MIGRATIONS[0] ?? ''}; PRAGMA user_version=1`);
    old.exec("INSERT INTO fact VALUES ('kept', 'value')");
    old.close();
    const opened = await openStore({ root });
    expect(opened.readFact('kept')).toBe('value');
    opened.close();
    const copy = new DatabaseSync(`${path}.v1`);
    expect(copy.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
    expect(copy.prepare('SELECT * FROM fact').all()).toEqual([{ key: 'kept', value: 'value' }]);
    copy.close();
  });

  test('with a database damaged inside', async () => {
    const db = join(root, 'db.sqlite');
    const bytes = readFileSync(db);
    bytes.fill(0xff, 4096);
    writeFileSync(db, bytes);
    await expect(openStore({ root }).then((opened) => opened.findRecord('x'))).rejects.toMatchObject({ code: 'store' });
  });

  test('a file in its place', async () => {
    writeFileSync(join(root, 'file'), '');
    await expect(openStore({ root: join(root, 'file') })).rejects.toMatchObject({ code: 'store' });
    await expect(openStore({ root: join(root, 'file/below') })).rejects.toMatchObject({ code: 'store' });
  });
});
