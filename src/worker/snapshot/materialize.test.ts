import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { pack as tarPack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileEntry, Tree, TreeEntry, TreePath } from '../../contracts/index.ts';
import { compareTreePaths, decodeTree, encodeTree, storeLayout } from '../../store/index.ts';
import { encodePathBytes } from '../../sys/path.ts';
import { lstat } from '../../sys/stat.ts';
import { readXattr } from '../../sys/xattr.ts';
import { implicitCorrections, readImplicit, writeCorrections } from './implicit.ts';
import { materialize } from './materialize.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/slipway-materialize-`);
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const META = { uid: 0, gid: 0, mtime: 1_600_000_000, mtimeNsec: 123_456_789 };
const file = (text: string, more: Partial<FileEntry> = {}): FileEntry => ({
  type: 'file',
  mode: 0o644,
  ...META,
  size: Buffer.byteLength(text),
  digest: `sha256:${createHash('sha256').update(text).digest('hex')}`,
  ...more,
});

type Line = readonly [path: TreePath, kind: 'f' | 'c' | 'b', rest: string];

async function make(entries: Readonly<Record<string, TreeEntry>>, plan: readonly Line[]): Promise<string> {
  const layout = storeLayout(root);
  const layer = 'abc';
  mkdirSync(layout.layerRoot(layer), { recursive: true });
  const tree: Tree = new Map(Object.entries(entries).sort(([a], [b]) => compareTreePaths(a, b)));
  writeFileSync(layout.treePath(layer), encodeTree(tree));
  const planPath = `${root}/plan`;
  const lines = plan.map(([path, kind, rest]) =>
    Buffer.concat([encodePathBytes(path), Buffer.from(`\0${kind}`), encodePathBytes(rest), Buffer.from('\n')]),
  );
  writeFileSync(planPath, Buffer.concat(lines));
  await materialize({ layout }, { kind: 'tree', layer, planPath }, new AbortController().signal);
  return layout.layerDir(layer);
}

describe('a directory from a tree', () => {
  it('has every kind of entry with its metadata', async () => {
    const odd = 'odd-\udcff\n';
    const directory = await make(
      {
        d: { type: 'directory', mode: 0o2750, ...META, uid: 4, gid: 5 },
        'd/f': file('hi', { mode: 0o6711, uid: 8, gid: 9, xattrs: new Map([['user.x', Buffer.from('y')]]) }),
        'd/same': file('hi', { mode: 0o6711, uid: 8, gid: 9, hardlink: 'd/f' }),
        gone: { type: 'whiteout' },
        l: { type: 'symlink', mode: 0o777, ...META, uid: 6, target: '../../etc' },
        [odd]: file(''),
        p: { type: 'fifo', mode: 0o622, ...META },
      },
      [
        ['d/f', 'b', Buffer.from('hi').toString('base64')],
        [odd, 'b', ''],
      ],
    );
    expect(lstat(`${directory}/d`)).toMatchObject({
      mode: 0o2750,
      uid: 4,
      gid: 5,
      mtime: 1_600_000_000,
      mtimeNsec: 123_456_789,
    });
    expect(lstat(`${directory}/d/f`)).toMatchObject({ mode: 0o6711, uid: 8, gid: 9, mtimeNsec: 123_456_789, nlink: 2 });
    expect(lstat(`${directory}/d/same`)?.ino).toBe(lstat(`${directory}/d/f`)?.ino);
    expect(Buffer.from(readXattr(`${directory}/d/f`, 'user.x') ?? []).toString()).toBe('y');
    expect(lstat(`${directory}/gone`)).toMatchObject({ type: 'char-device', major: 0, minor: 0 });
    expect(lstat(`${directory}/l`)).toMatchObject({ type: 'symlink', uid: 6, mtimeNsec: 123_456_789 });
    expect(lstat(`${directory}/p`)).toMatchObject({ type: 'fifo', mode: 0o622 });
    expect(readdirSync(directory, 'buffer').some((name) => name.includes(0xff))).toBe(true);
  });

  it('links our own files where all of their metadata is the same, and copies them where it is not', async () => {
    writeFileSync(`${root}/own`, 'hello');
    utimesSync(`${root}/own`, 1_600_000_000, 1_600_000_000);
    const same = { mtimeNsec: 0 };
    const directory = await make(
      { equal: file('hello', same), mode: file('hello', { ...same, mode: 0o600 }), time: file('hello') },
      [
        ['equal', 'f', `${root}/own`],
        ['mode', 'f', `${root}/own`],
        ['time', 'f', `${root}/own`],
      ],
    );
    const own = lstatSync(`${root}/own`);
    expect(lstatSync(`${directory}/equal`).ino).toBe(own.ino);
    expect(lstatSync(`${directory}/mode`).ino).not.toBe(own.ino);
    expect(lstat(`${directory}/time`)).toMatchObject({ mtimeNsec: 123_456_789, nlink: 1 });
    expect([own.nlink, readFileSync(`${directory}/time`, 'utf8')]).toEqual([2, 'hello']);
  });

  it('never links the files of the user, and verifies what it copies', async () => {
    writeFileSync(`${root}/context`, 'hello');
    utimesSync(`${root}/context`, 1_600_000_000, 1_600_000_000);
    const directory = await make({ f: file('hello', { mtimeNsec: 0 }) }, [['f', 'c', `${root}/context`]]);
    expect(lstatSync(`${root}/context`).nlink).toBe(1);
    expect(readFileSync(`${directory}/f`, 'utf8')).toBe('hello');
  });

  it('copies where there is no room for another name (EMLINK)', async () => {
    writeFileSync(`${root}/own`, '');
    utimesSync(`${root}/own`, 1_600_000_000, 1_600_000_000);
    mkdirSync(`${root}/names`);
    let names = 1;
    try {
      for (; names < 70_000; names++) linkSync(`${root}/own`, `${root}/names/${names}`);
    } catch {
      // As many as this file system has.
    }
    const directory = await make({ f: file('', { mtimeNsec: 0 }) }, [['f', 'f', `${root}/own`]]);
    expect(lstatSync(`${directory}/f`).size).toBe(0);
  });

  it.each<readonly [string, Readonly<Record<string, TreeEntry>>, readonly Line[], string]>([
    ['a file of the user that changed', { f: file('other') }, [['f', 'c', '@/context']], 'context'],
    ['a file of ours that is cut off', { f: file('longer than that') }, [['f', 'f', '@/context']], 'store'],
    ['a file that the plan forgets', { f: file('x') }, [], 'internal'],
    [
      'an entry below a link',
      { a: { type: 'symlink', mode: 0o777, ...META, target: '/tmp' }, 'a/f': file('x') },
      [['a/f', 'b', 'eA==']],
      'permission|host|hostile|internal',
    ],
  ])('%s leaves nothing', async (_, entries, plan, code) => {
    writeFileSync(`${root}/context`, 'hello');
    const lines = plan.map(([path, kind, rest]): Line => [path, kind, rest.replace('@', root)]);
    await expect(make(entries, lines)).rejects.toMatchObject({ code: expect.stringMatching(code) as string });
    expect(readdirSync(`${root}/l/abc`)).toEqual(['tree2']);
  });

  it('is made on a thread when it is large, with the same errors', async () => {
    const entries: Record<string, TreeEntry> = {};
    const plan: Line[] = [];
    for (let i = 0; i < 300; i++) {
      entries[`f${i}`] = file(`${i}`);
      plan.push([`f${i}`, 'b', Buffer.from(`${i}`).toString('base64')]);
    }
    const directory = await make(entries, plan);
    expect(readdirSync(directory)).toHaveLength(300);
    rmSync(directory, { recursive: true });
    await expect(make(entries, plan.slice(1))).rejects.toMatchObject({
      code: 'internal',
      message: /does not say where \/f0/,
    });
  });
});

describe('directories that a tree does not hold', () => {
  it('are listed beside the layer', async () => {
    await make({ 'tmp/a/f': file('x') }, [['tmp/a/f', 'b', 'eA==']]);
    expect([...readImplicit(`${root}/l/abc`)].sort()).toEqual(['tmp', 'tmp/a']);
  });

  it('show what lower layers say of them', () => {
    const layer = (name: string, made: readonly string[], implicit: readonly string[] = []) => {
      for (const path of made) mkdirSync(`${root}/${name}/${path}`, { recursive: true });
      return { directory: `${root}/${name}`, implicit: new Set(implicit) };
    };
    const bottom = layer('bottom', ['tmp', 'usr/lib', 'home/me']);
    chownSync(`${root}/bottom/home/me`, 1000, 1000);
    chmodSync(`${root}/bottom/tmp`, 0o1777);
    chmodSync(`${root}/bottom/home`, 0o711);
    const middle = layer('middle', ['tmp/x', 'home/me/src'], ['tmp', 'home', 'home/me']);
    const top = layer('top', ['home/me', 'usr/lib'], ['home', 'usr', 'usr/lib']);
    const layers = [bottom, middle, top];
    const corrections = implicitCorrections(layers);
    expect(corrections.map(({ path }) => path)).toEqual(['home', 'tmp']);
    writeCorrections(`${root}/fix`, layers, corrections);
    expect(lstat(`${root}/fix/tmp`)).toMatchObject({ mode: 0o1777 });
    expect(lstat(`${root}/fix/home`)).toMatchObject({ mode: 0o711 });
  });

  it('are left alone where an upper layer says what they are, or hides them', () => {
    mkdirSync(`${root}/one/tmp`, { recursive: true });
    chmodSync(`${root}/one/tmp`, 0o1777);
    mkdirSync(`${root}/two/tmp`, { recursive: true });
    mkdirSync(`${root}/three/tmp`, { recursive: true });
    const explicit = { directory: `${root}/three`, implicit: new Set<TreePath>() };
    const one = { directory: `${root}/one`, implicit: new Set<TreePath>() };
    const two = { directory: `${root}/two`, implicit: new Set(['tmp']) };
    expect(implicitCorrections([one, two, explicit])).toEqual([]);
    expect(implicitCorrections([one, two]).map(({ path }) => path)).toEqual(['tmp']);
  });
});

describe('a directory from a blob', () => {
  it.each([
    ['makes the tree, with digests, where there is none', undefined, { a: file('hello', { mtimeNsec: 0 }) }],
    ['leaves the tree that is there', { b: file('') }, { b: file('') }],
  ])('%s', async (_, before, after) => {
    const layout = storeLayout(root);
    mkdirSync(layout.layerRoot('abc'), { recursive: true });
    if (before !== undefined) writeFileSync(layout.treePath('abc'), encodeTree(new Map(Object.entries(before))));
    const pack = tarPack();
    pack.entry({ name: 'a', mode: 0o644, mtime: new Date(META.mtime * 1000) }, 'hello');
    pack.finalize();
    const blobPath = `${root}/blob`;
    writeFileSync(blobPath, await buffer(pack));
    const request = { kind: 'blob', layer: 'abc', blobPath, mediaType: '' } as const;
    await materialize({ layout }, request, new AbortController().signal);
    expect(readFileSync(`${layout.layerDir('abc')}/a`, 'utf8')).toBe('hello');
    expect(Object.fromEntries(decodeTree(readFileSync(layout.treePath('abc'))))).toEqual(after);
  });
});
