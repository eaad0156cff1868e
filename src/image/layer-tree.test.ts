import { execFileSync } from 'node:child_process';
import { gzipSync, zstdCompressSync, constants } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import type { Tree, TreeEntry } from '../contracts/index.ts';
import { digestOf } from './chain-id.ts';
import { decompress } from './decompress.ts';
import { readLayer } from './layer-tree.ts';
import { TAR_END, encodeTarHeader } from './tar/write.ts';
import { paddingOf } from './tar/types.ts';
import type { TarEntryType, TarHeader } from './tar/types.ts';

type Spec = Partial<TarHeader> & { name: string; data?: string };

function tar(...specs: readonly Spec[]): Buffer {
  return Buffer.concat([
    ...specs.flatMap(({ data = '', ...header }) => {
      const type: TarEntryType = header.type ?? (header.name.endsWith('/') ? 'directory' : 'file');
      const size = type === 'file' ? Buffer.byteLength(data) : 0;
      const full = { target: '', mode: 0o644, uid: 0, gid: 0, mtime: 7, mtimeNsec: 0, major: 0, minor: 0, ...header };
      return [encodeTarHeader({ ...full, type, size }), Buffer.from(data), Buffer.alloc(paddingOf(size))];
    }),
    TAR_END,
  ]);
}

async function* once(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const treeOf = async (...specs: readonly Spec[]): Promise<Tree> => (await readLayer(once(tar(...specs)))).tree;

/** `path` to a short text of the entry. */
function brief(tree: Tree): Record<string, string> {
  const text = (entry: TreeEntry): string => {
    switch (entry.type) {
      case 'file':
        return entry.hardlink === undefined ? `file ${entry.size}` : `file ${entry.size} = ${entry.hardlink}`;
      case 'symlink':
        return `-> ${entry.target}`;
      case 'directory':
        return entry.opaque === true ? 'opaque' : 'directory';
      default:
        return entry.type;
    }
  };
  return Object.fromEntries([...tree].map(([path, entry]) => [path, text(entry)]));
}

describe('entries to a tree', () => {
  test('content digests, diff ID, sizes', async () => {
    const bytes = tar(
      { name: 'a/' },
      { name: 'a/x', data: 'hello' },
      { name: 'a/y' },
      { name: 'big', data: 'z'.repeat(5000) },
    );
    for (const size of [100, 512, 1 << 20]) {
      const read = await readLayer(once(bytes, size));
      expect(read.diffId).toBe(digestOf(bytes));
      expect(read).toMatchObject({ size: bytes.length, contentSize: 5005 });
      expect(read.tree.get('a/x')).toMatchObject({ digest: digestOf('hello'), mtime: 7 });
      expect(read.tree.get('a/y')).toMatchObject({ digest: digestOf('') });
      expect(read.tree.get('big')).toMatchObject({ digest: digestOf('z'.repeat(5000)) });
    }
  });

  test.each<[string, readonly Spec[], Record<string, string>]>([
    [
      'tree order, whatever the order of the archive',
      [{ name: 'b' }, { name: 'a-x' }, { name: 'a/' }, { name: 'a/z' }, { name: 'a' + '/' }],
      { a: 'directory', 'a/z': 'file 0', 'a-x': 'file 0', b: 'file 0' },
    ],
    ['cleaned names', [{ name: './a//b/./c' }, { name: '/d' }], { 'a/b/c': 'file 0', d: 'file 0' }],
    ["the root is not the layer's", [{ name: './', mode: 0o700 }, { name: 'a' }], { a: 'file 0' }],
    ['whiteouts', [{ name: 'a/.wh.b' }, { name: '.wh.c' }], { 'a/b': 'whiteout', c: 'whiteout' }],
    [
      'opaque directories',
      [{ name: 'a/' }, { name: 'a/.wh..wh..opq' }, { name: 'a/x' }],
      { a: 'opaque', 'a/x': 'file 0' },
    ],
    ['opaque before its directory', [{ name: 'a/.wh..wh..opq' }, { name: 'a/' }], { a: 'opaque' }],
    ['an opaque root', [{ name: '.wh..wh..opq' }, { name: 'x' }], { '': 'opaque', x: 'file 0' }],
    [
      'a directory made anew after its whiteout is opaque (moby/buildkit#2614)',
      [{ name: '.wh.a' }, { name: 'a/' }, { name: 'a/x' }],
      { a: 'opaque', 'a/x': 'file 0' },
    ],
    ['... also without an entry', [{ name: '.wh.a' }, { name: 'a/x' }], { a: 'opaque', 'a/x': 'file 0' }],
    ['a file and its whiteout', [{ name: 'a' }, { name: '.wh.a' }], { a: 'file 0' }],
    [
      'names of aufs',
      [{ name: '.wh..wh.plnk/' }, { name: '.wh..wh.plnk/1.2' }, { name: '.wh..wh.aufs' }, { name: 'a' }],
      { a: 'file 0' },
    ],
    [
      'the last of a name wins',
      [
        { name: 'a', data: 'x' },
        { name: 'a', data: 'yy' },
      ],
      { a: 'file 2' },
    ],
    [
      'a file in the place of a directory takes what was below',
      [{ name: 'a/' }, { name: 'a/x' }, { name: 'a/.wh.w' }, { name: 'a' }],
      { a: 'file 0' },
    ],
    ['a link in the place of parents', [{ name: 'a/x' }, { name: 'a', type: 'symlink', target: 'b' }], { a: '-> b' }],
    [
      'a directory in the place of a link',
      [{ name: 'a', type: 'symlink', target: 'b' }, { name: 'a/' }, { name: 'a/x' }],
      { a: 'directory', 'a/x': 'file 0' },
    ],
    [
      'through a link of the layer',
      [{ name: 'lib', type: 'symlink', target: 'usr/lib' }, { name: 'lib/x' }, { name: 'lib/.wh.y' }],
      { lib: '-> usr/lib', 'usr/lib/x': 'file 0', 'usr/lib/y': 'whiteout' },
    ],
    [
      'links lead nowhere but below the root (CVE-2021-32803, CVE-2018-15664)',
      [
        { name: 'up', type: 'symlink', target: '../../../etc' },
        { name: 'up/passwd' },
        { name: 'abs', type: 'symlink', target: '/../..' },
        { name: 'abs/x' },
      ],
      { abs: '-> /../..', 'etc/passwd': 'file 0', up: '-> ../../../etc', x: 'file 0' },
    ],
    [
      'hard links: the first in tree order is the file',
      [
        { name: 'z', data: 'abc' },
        { name: 'a', type: 'hardlink', target: 'z' },
        { name: 'm', type: 'hardlink', target: './a' },
      ],
      { a: 'file 3', m: 'file 3 = a', z: 'file 3 = a' },
    ],
    [
      'a hard link keeps the file whose name is taken over',
      [
        { name: 'a', data: 'abc' },
        { name: 'b', type: 'hardlink', target: 'a' },
        { name: 'a', data: 'new!' },
      ],
      { a: 'file 4', b: 'file 3' },
    ],
    [
      'a hard link to a symbolic link is one more',
      [
        { name: 's', type: 'symlink', target: 't' },
        { name: 'a', type: 'hardlink', target: 's' },
      ],
      { a: '-> t', s: '-> t' },
    ],
    [
      'devices and fifos',
      [
        { name: 'c', type: 'char-device' },
        { name: 'd', type: 'block-device' },
        { name: 'e', type: 'fifo' },
      ],
      { c: 'char-device', d: 'block-device', e: 'fifo' },
    ],
  ])('%s', async (_, specs, expected) => {
    const tree = await treeOf(...specs);
    expect(brief(tree)).toEqual(expected);
    expect([...tree.keys()]).toEqual(Object.keys(expected));
  });
});

describe('hostile layers', () => {
  test.each<[string, readonly Spec[], string]>([
    ['a hard link to what is not in the layer', [{ name: 'a', type: 'hardlink', target: 'bin/x' }], 'not in its layer'],
    ['.. (CVE-2026-28406)', [{ name: '../outside.txt' }], 'leads out'],
    ['.. behind the root', [{ name: '/../../etc/passwd' }], 'leads out'],
    ['.. inside', [{ name: 'a/../b' }], 'leads out'],
    ['a name of a megabyte', [{ name: 'a/'.repeat(400_000) + 'x' }], 'a name of 800001 characters'],
    ['a link of a megabyte', [{ name: 'a', type: 'symlink', target: 'b/'.repeat(400_000) }], 'longer than any'],
    ['a hard link out (CVE-2026-26960)', [{ name: 'a', type: 'hardlink', target: '../../etc/shadow' }], 'leads out'],
    ['a hard link to a directory', [{ name: 'd/' }, { name: 'a', type: 'hardlink', target: 'd' }], 'no file'],
    ['a hard link to itself', [{ name: 'a', type: 'hardlink', target: 'a' }], 'no file'],
    ['a hard link to the root', [{ name: 'a', type: 'hardlink', target: '/' }], 'no file'],
    ['a whiteout of ..', [{ name: 'a/.wh...' }], 'names nothing'],
    ['a whiteout of .', [{ name: 'a/.wh..' }], 'names nothing'],
    ['a whiteout of nothing', [{ name: 'a/.wh.' }], 'names nothing'],
    ['an entry in a whiteout', [{ name: '.wh.a/b' }], 'in a whiteout'],
    ['a file for a root', [{ name: '/', type: 'file' }], 'replace the root'],
    ['an entry below a file', [{ name: 'a' }, { name: 'a/b' }], 'no directory'],
    [
      'links in a circle',
      [{ name: 'a', type: 'symlink', target: 'b' }, { name: 'b', type: 'symlink', target: 'a' }, { name: 'a/x' }],
      'too many links',
    ],
  ])('%s', async (_, specs, message) => {
    const error: unknown = await treeOf(...specs).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BuildError);
    expect((error as BuildError).code).toBe('hostile');
    expect((error as BuildError).message).toContain(message);
  });
});

describe('decompress', () => {
  const text = Buffer.from('some text, '.repeat(50_000));
  const plain = async (bytes: Uint8Array, size?: number): Promise<Buffer> => {
    const parts: Uint8Array[] = [];
    for await (const chunk of decompress(once(bytes, size))) parts.push(Uint8Array.from(chunk));
    return Buffer.concat(parts);
  };
  const skippable = Buffer.concat([Buffer.from([0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('hello')]);
  const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
  test.each<[string, Buffer]>([
    ['uncompressed', text],
    ['gzip', gzipSync(text)],
    ['gzip of two members', Buffer.concat([gzipSync(text.subarray(0, 1000)), gzipSync(text.subarray(1000))])],
    ['zstd', zstdCompressSync(text)],
    [
      'zstd of many frames, one checked, one empty, one skipped',
      Buffer.concat([
        skippable,
        zstdCompressSync(text.subarray(0, 9)),
        zstdCompressSync(''),
        zstdCompressSync(text.subarray(9, 99999), checked),
        skippable,
        zstdCompressSync(text.subarray(99999)),
      ]),
    ],
  ])('%s', async (_, bytes) => {
    for (const size of [1, 7, 1000, 1 << 20]) {
      if (size === 1 && bytes.length > 10_000) continue;
      expect((await plain(bytes, size)).equals(text)).toBe(true);
    }
  });
  test('nothing is nothing', async () => expect((await plain(Buffer.alloc(0))).length).toBe(0));
  test.each<[string, Buffer, string]>([
    ['gzip cut short', gzipSync(text).subarray(0, 200), 'hostile'],
    ['zstd cut short', zstdCompressSync(text).subarray(0, 60), 'hostile'],
    [
      'zstd cut short after a frame',
      Buffer.concat([zstdCompressSync(text), zstdCompressSync(text).subarray(0, 3)]),
      'hostile',
    ],
    ['zstd followed by something else', Buffer.concat([zstdCompressSync(text), Buffer.from('tail')]), 'hostile'],
    ['a damaged byte', Buffer.from(gzipSync(text).fill(0xff, 100, 110)), 'hostile'],
    ['bzip2', Buffer.from('BZh91AY'), 'unsupported'],
    ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0]), 'unsupported'],
  ])('%s', async (_, bytes, code) => {
    const error: unknown = await plain(bytes).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BuildError);
    expect((error as BuildError).code).toBe(code);
  });
  test('an error of the source is what comes out', async () => {
    const source = (async function* (): AsyncGenerator<Uint8Array> {
      yield gzipSync(text).subarray(0, 200);
      throw new Error('the network is gone');
    })();
    await expect(async () => {
      for await (const chunk of decompress(source)) expect(chunk.length).toBeGreaterThan(0);
    }).rejects.toThrow('the network is gone');
  });
});

test('GNU tar of a real directory', async () => {
  const bytes = execFileSync('tar', ['-C', '/usr/share', '-c', 'misc', 'doc/tar'], { maxBuffer: 1 << 28 });
  const { tree } = await readLayer(once(bytes, 65_536));
  const names = execFileSync('find', ['misc', 'doc/tar'], { cwd: '/usr/share', encoding: 'utf8' }).trim().split('\n');
  expect([...tree.keys()].sort()).toEqual(names.sort());
});

test('an archive that replaces directories without end is refused in time', async () => {
  const many = Array.from({ length: 20_000 }, (_, i) => ({ name: `f${i}` }));
  const again = Array.from({ length: 4_000 }, () => [
    { name: 'd/' },
    { name: 'd/x' },
    { name: 'd', type: 'symlink' as const, target: 'f1' },
  ]).flat();
  await expect(treeOf(...many, ...again)).rejects.toMatchObject({
    code: 'hostile',
    message: expect.stringContaining('over and over') as string,
  });
});
