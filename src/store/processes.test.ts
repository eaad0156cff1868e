import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Digest, Tree, TreeEntry } from '../contracts/index.ts';
import { lstat, mknod } from '../sys/stat.ts';
import { openStore, storeLayout, type Store } from './index.ts';

const STORE = JSON.stringify(new URL('./index.ts', import.meta.url).href);
const MODULE = `import { openStore, storeLayout } from ${STORE}; import * as fs from 'node:fs';
const [root, ...args] = process.argv.slice(1);`;

let root = '';
let children: ChildProcess[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-processes-'));
});
afterEach(async () => {
  await Promise.all(children.map(kill));
  children = [];
  rmSync(root, { recursive: true, force: true });
});

function sha(text: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** Starts a process that has the store's functions, `root` and `args`. */
function start(code: string, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', MODULE + code, root, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

/** Resolves with its next output. */
async function say(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (data: Buffer) => resolve(data.toString().trim()));
    child.once('exit', (code) => reject(new Error(`ended with ${code ?? 'a signal'}`)));
  });
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return new Promise((resolve) => child.once('exit', resolve));
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await ended(child);
}

const STAY = 'setInterval(() => {}, 1000);';

describe('several processes', () => {
  test('make the state directory at once', async () => {
    const all = Array.from({ length: 4 }, () =>
      start(
        `const store = await openStore({ root }); store.saveImage({ name: String(process.pid), digest: 'sha256:' + 'a'.repeat(64), mediaType: 'm', created: 1, origin: 'build' }); store.close();`,
      ),
    );
    expect(await Promise.all(all.map(ended))).toEqual([0, 0, 0, 0]);
    const store = await openStore({ root });
    expect(
      store
        .images()
        .map((image) => Number(image.name))
        .sort(),
    ).toEqual(all.map((child) => child.pid).sort());
    store.close();
  });

  test('write the same blob at once', async () => {
    const code = `
      const store = await openStore({ root });
      for (let round = 0; round < 20; round++) {
        const writer = await store.createBlob();
        for (let i = 0; i < 10; i++) await writer.write(Buffer.alloc(10000, round));
        await writer.commit();
      }
      console.log(store.newLayer());
      store.close();`;
    const all = [start(code), start(code), start(code)];
    const ids = await Promise.all(all.map(say));
    expect(await Promise.all(all.map(ended))).toEqual([0, 0, 0]);
    expect(new Set(ids).size).toBe(3);
    const store = await openStore({ root });
    for (let round = 0; round < 20; round++) expect(store.hasBlob(sha(Buffer.alloc(100_000, round)))).toBe(true);
    expect(readdirSync(join(root, 'blobs/sha256'))).toHaveLength(20);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    store.close();
  });

  test('write rows while another holds the database', async () => {
    const store = await openStore({ root });
    const holder = start(`
      const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
      const db = new DatabaseSync(root + '/db.sqlite');
      db.exec('BEGIN IMMEDIATE'); console.log('held');
      setTimeout(() => { db.exec('COMMIT'); db.close(); }, 1200);`);
    await say(holder);
    store.saveRecord({ key: 'k', outputs: [], created: 1, description: 'd', inputs: '' });
    // The batch's own timer fires, and tries again later.
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(store.findRecord('k')?.created).toBe(1);
    store.sync();
    expect(await ended(holder)).toBe(0);
    store.close();
    const again = await openStore({ root });
    expect(again.findRecord('k')?.created).toBe(1);
    again.close();
  });

  test('see what was recorded before a lock was released', async () => {
    const store = await openStore({ root });
    const lock = await store.lock('step', {});
    const waiter = start(`
      const store = await openStore({ root });
      console.log('waiting');
      const lock = await store.lock('step', {});
      console.log(store.findRecord('k')?.description);
      lock.release(); store.close();`);
    expect(await say(waiter)).toBe('waiting');
    store.saveRecord({ key: 'k', outputs: [], created: 1, description: 'made by the first', inputs: '' });
    lock.release();
    expect(await say(waiter)).toBe('made by the first');
    expect(await ended(waiter)).toBe(0);
    store.close();
  });
});

test('who waits for long is told for whom, and when it is over', async () => {
  const holder = start(`
    const store = await openStore({ root, holder: 'build 12ab' });
    await store.lock('k', { doing: 'which runs make' }); console.log('held'); ${STAY}`);
  await say(holder);
  const told: string[] = [];
  let hear: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => (hear = resolve));
  const store = await openStore({
    root,
    onWait(text) {
      told.push(text ?? '');
      hear();
      return () => told.push('over');
    },
  });
  const waiting = store.lock('k', {});
  await heard;
  expect(told).toEqual([`build 12ab, process ${holder.pid}, which runs make`]);
  await kill(holder);
  (await waiting).release();
  expect(told.slice(1)).toEqual(['over']);
  store.close();
});

describe('kill -9', () => {
  test('releases locks', async () => {
    const holder = start(
      `const store = await openStore({ root }); await store.lock('k', {}); console.log('held'); ${STAY}`,
    );
    await say(holder);
    const store = await openStore({ root });
    let entered = false;
    const waiting = store.lock('k', {}).then((lock) => {
      entered = true;
      lock.release();
    });
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(entered).toBe(false);
    await kill(holder);
    await waiting;
    store.close();
  });

  test('leaves garbage, which the next that writes removes; of the living nothing is touched', async () => {
    const code = `
      const store = await openStore({ root });
      const blob = await store.createBlob(); await blob.write(Buffer.from('half'));
      fs.mkdirSync(store.tempPath('-dir'));
      const id = store.newLayer(); fs.mkdirSync(store.layerDir(id) + '/deep/er', { recursive: true });
      const saved = store.newLayer(); store.saveLayer(saved, { size: 7 }); store.sync();
      console.log(id + ' ' + saved); ${STAY}`;
    const [dead, alive] = [start(code), start(code)];
    const [deadIds, aliveIds] = (await Promise.all([say(dead), say(alive)])).map((line) => line.split(' '));
    await kill(dead);
    expect(readdirSync(join(root, 'tmp')).filter((name) => name.endsWith('.lock'))).toHaveLength(2);

    const reader = await openStore({ root });
    reader.findRecord('x');
    reader.close();
    expect(readdirSync(join(root, 'tmp')).filter((name) => name.endsWith('.lock'))).toHaveLength(2);

    const store = await openStore({ root });
    store.tempPath('');
    const layers = (): string[] => readdirSync(join(root, 'l')).sort();
    const expected = [...(aliveIds ?? []), deadIds?.[1] ?? ''].sort();
    await vi.waitFor(() => expect(layers()).toEqual(expected), { timeout: 10_000 });
    await vi.waitFor(() =>
      expect(readdirSync(join(root, 'tmp')).filter((name) => name.endsWith('.lock'))).toHaveLength(2),
    );
    expect(store.layer(deadIds?.[1] ?? '')?.size).toBe(7);
    expect(existsSync(join(store.layerDir(aliveIds?.[0] ?? ''), 'deep/er'))).toBe(true);
    store.close();
    await kill(alive);
  });

  test('before the batch: the blob is verified, whole or torn', async () => {
    const writer = start(`
      const store = await openStore({ root });
      for (const text of ['whole', 'torn']) await store.putBlob(Buffer.from(text));
      console.log('written'); process.kill(process.pid, 'SIGKILL');`);
    await say(writer);
    await ended(writer);
    const layout = storeLayout(root);
    truncateSync(layout.blobPath(sha('torn')), 2);
    const store = await openStore({ root });
    expect(store.hasBlob(sha('whole'))).toBe(true);
    expect(store.hasBlob(sha('torn'))).toBe(false);
    expect(existsSync(layout.blobPath(sha('torn')))).toBe(false);
    store.close();
  });

  test('temporary paths without a store belong to their process, also those of its threads', async () => {
    (await openStore({ root })).close();
    const child = start(`
      import { Worker } from 'node:worker_threads';
      const layout = storeLayout(root);
      fs.writeFileSync(layout.tempPath('-main'), '');
      const thread = new Worker('import(' + JSON.stringify(${STORE}) + ').then(({ storeLayout }) => process.getBuiltinModule("fs").writeFileSync(storeLayout(' + JSON.stringify(root) + ').tempPath("-thread"), ""))', { eval: true });
      thread.once('exit', () => console.log('ready'));
      process.stdin.once('data', () => process.exit(0)); ${STAY}`);
    await say(child);
    const store = await openStore({ root });
    const own = store.tempPath('');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const names = (): string[] => readdirSync(join(root, 'tmp'), { recursive: true, encoding: 'utf8' });
    expect(names().filter((name) => /-(main|thread)$/.test(name))).toHaveLength(2);
    child.stdin?.write('end');
    expect(await ended(child)).toBe(0);
    expect(names().filter((name) => /-(main|thread)$/.test(name))).toHaveLength(0);
    expect(existsSync(join(own, '..'))).toBe(true);
    store.close();
    expect(names()).toEqual([]);
  });
});

describe('after a start of the machine', () => {
  const META = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000, mtimeNsec: 0 };
  const TREE: Tree = new Map<string, TreeEntry>([
    ['d', { type: 'directory', ...META, mode: 0o755 }],
    ['d/file', { type: 'file', ...META, size: 4, digest: sha('data') }],
    ['gone', { type: 'whiteout' }],
  ]);

  function makeDirectory(store: Store, id: string): void {
    const directory = store.layerDir(id);
    mkdirSync(join(directory, 'd'), { recursive: true });
    chmodSync(join(directory, 'd'), 0o755);
    writeFileSync(join(directory, 'd/file'), 'data', { mode: 0o644 });
    chmodSync(join(directory, 'd/file'), 0o644);
    utimesSync(join(directory, 'd/file'), META.mtime, META.mtime);
    mknod(join(directory, 'gone'), { type: 'char-device', mode: 0, major: 0, minor: 0 });
  }

  async function write(): Promise<string[]> {
    const store = await openStore({ root, bootId: 'first' });
    for (const text of ['good', 'torn']) await store.putBlob(Buffer.from(text));
    for (const text of ['good file', 'torn file']) {
      const file = await store.createFile();
      await file.write(Buffer.from(text));
      await file.commit();
    }
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      const id = store.newLayer();
      await store.writeTree(id, TREE);
      makeDirectory(store, id);
      store.saveLayer(id, { dir: true, size: 4 });
      ids.push(id);
    }
    store.close();
    return ids;
  }

  test('what survived is used, what did not is forgotten', async () => {
    const ids = await write();
    const layout = storeLayout(root);
    const at = (index: number, path: string): string => join(layout.layerRoot(ids[index] ?? ''), path);
    writeFileSync(layout.blobPath(sha('torn')), '');
    truncateSync(layout.filePath(sha('torn file')), 0);
    truncateSync(at(1, 'fs/d/file'), 0);
    utimesSync(at(1, 'fs/d/file'), META.mtime, META.mtime);
    writeFileSync(at(2, 'fs/d/file'), '\0\0\0\0');
    utimesSync(at(2, 'fs/d/file'), META.mtime, META.mtime);
    rmSync(at(3, 'fs/gone'));
    truncateSync(at(4, 'tree2'), 10);
    writeFileSync(at(5, 'fs/d/more'), '');

    for (const bootId of ['second', 'second', 'third']) {
      const store = await openStore({ root, bootId });
      expect(store.hasBlob(sha('good'))).toBe(true);
      expect(store.hasBlob(sha('torn'))).toBe(false);
      expect(store.hasFile(sha('good file'))).toBe(true);
      expect(store.hasFile(sha('torn file'))).toBe(false);
      expect(ids.map((id) => store.layer(id)?.hasDir)).toEqual([true, false, false, false, false, false]);
      expect(ids.map((id) => store.layer(id)?.hasTree)).toEqual([true, true, true, true, false, true]);
      expect(existsSync(at(1, 'fs'))).toBe(false);
      store.close();
    }
  });

  test('saving a fact does not clear a layer of suspicion', async () => {
    const [, id = ''] = await write();
    truncateSync(join(storeLayout(root).layerDir(id), 'd/file'), 0);
    const store = await openStore({ root, bootId: 'second' });
    store.saveLayer(id, { diffId: sha('tar') });
    expect(store.layer(id)).toMatchObject({ hasDir: false, diffId: sha('tar') });
    store.close();
    const again = await openStore({ root, bootId: 'third' });
    expect(again.layer(id)?.hasDir).toBe(false);
    again.close();
  });

  test('in the same boot nothing is read again', async () => {
    const [, id = ''] = await write();
    truncateSync(join(storeLayout(root).layerDir(id), 'd/file'), 0);
    const store = await openStore({ root, bootId: 'first' });
    expect(store.layer(id)?.hasDir).toBe(true);
    store.close();
  });
});

describe('what the system refuses', () => {
  test('a directory of somebody else', async () => {
    (await openStore({ root })).close();
    chmodSync(root, 0o755);
    const code = `${MODULE}
      import(${JSON.stringify(new URL('../sys/flock.ts', import.meta.url).href)}).then((flock) => flock.closeLockFile(-1));
      await new Promise((resolve) => setTimeout(resolve, 100));
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      for (const at of [root, root + '/below']) {
        await openStore({ root: at }).then(() => console.log('opened'), (error) => console.log(JSON.stringify({ code: error.code, hint: error.hint })));
      }`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', code, root], { encoding: 'utf8' });
    const lines = output.trim().split('\n');
    expect(lines).toHaveLength(2);
    for (const line of lines)
      expect(JSON.parse(line)).toEqual({ code: 'permission', hint: expect.stringContaining('SLIPWAY_ROOT') as string });
  });

  test('more bytes than the disk has', () => {
    const code = `${MODULE}
      const { mount } = await import(${JSON.stringify(new URL('../sys/mount.ts', import.meta.url).href)});
      mount({ source: 'tmpfs', target: root, type: 'tmpfs', data: 'size=1m' });
      const store = await openStore({ root });
      const codes = [];
      const failed = (error) => codes.push(error.code);
      const writer = await store.createBlob();
      await writer.write(Buffer.alloc(2 << 20)).catch(failed);
      await writer.abort();
      await store.putBlob(Buffer.alloc(2 << 20)).catch(failed);
      const id = store.newLayer();
      await store.writeTree(id, new Map([['x'.repeat(2 << 20), { type: 'whiteout' }]])).catch(failed);
      const left = fs.readdirSync(root + '/tmp', { recursive: true }).filter((name) => /blob|tree/.test(name));
      await store.putBlob(Buffer.from('small'));
      store.close();
      console.log(JSON.stringify({ codes, left, blobs: fs.readdirSync(root + '/blobs/sha256').length }));`;
    const node = [process.execPath, '--input-type=module', '-e', code, root];
    const output = execFileSync('unshare', ['--mount', '--propagation', 'private', ...node], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual({ codes: ['disk-full', 'disk-full', 'disk-full'], left: [], blobs: 1 });
  });
});

test('a layer directory and its tree agree when nothing happened (devices, links, odd names)', async () => {
  const store = await openStore({ root, bootId: 'a' });
  const id = store.newLayer();
  const directory = store.layerDir(id);
  mkdirSync(directory);
  execFileSync(
    'sh',
    ['-c', `ln -s target link; mkfifo fifo; mknod null c 1 3; touch plain; ln plain hard; touch "$(printf 'f\\377')"`],
    { cwd: directory },
  );
  const tree = new Map<string, TreeEntry>();
  for (const name of ['fifo', 'f\udcff', 'hard', 'link', 'null', 'plain']) {
    const stat = lstat(`${directory}/${name}`);
    if (stat === undefined) throw new Error(name);
    const { mode, uid, gid, mtime, mtimeNsec, size, major, minor } = stat;
    const meta = { mode, uid, gid, mtime, mtimeNsec };
    if (stat.type === 'file')
      tree.set(name, { type: 'file', ...meta, size, ...(name === 'plain' ? { hardlink: 'hard' } : {}) });
    if (stat.type === 'symlink') tree.set(name, { type: 'symlink', ...meta, target: 'target' });
    if (stat.type === 'fifo') tree.set(name, { type: 'fifo', ...meta });
    if (stat.type === 'char-device') tree.set(name, { type: 'char-device', ...meta, major, minor });
  }
  await store.writeTree(id, new Map([...tree].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))));
  store.saveLayer(id, { dir: true });
  store.close();
  const again = await openStore({ root, bootId: 'b' });
  expect(again.layer(id)?.hasDir).toBe(true);
  expect(statSync(join(directory, 'fifo')).isFIFO()).toBe(true);
  expect(readFileSync(join(root, 'version'), 'utf8')).toBe('1\n');
  again.close();
});
