/** Layers of all kinds, honest and hostile, on the real file system. */
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack as tarPack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lstat } from '../../sys/stat.ts';
import { readXattr } from '../../sys/xattr.ts';
import { unpackLayer, type UnpackResult } from './unpack-layer.ts';

type EntryHeader = Parameters<ReturnType<typeof tarPack>['entry']>[0];
type Entry = readonly [header: EntryHeader, content?: string];

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(`${tmpdir()}/slipway-unpack-`);
  writeFileSync(`${scratch}/sentinel`, 'untouched');
});
afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const pack = tarPack();
  for (const [header, content] of entries) pack.entry({ mtime: new Date(1_000_000_000_000), ...header }, content ?? '');
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function unpack(
  entries: readonly Entry[],
  compress: (tar: Buffer) => Buffer = (tar) => tar,
  hash = true,
): Promise<UnpackResult> {
  const blobPath = `${scratch}/blob`;
  writeFileSync(blobPath, compress(await tarOf(entries)));
  return unpackLayer({ blobPath, directory: `${scratch}/fs`, name: 'layer test', hash });
}

/** Every path below the layer's directory with its type; content of files; `->` for links. */
function contents(directory = `${scratch}/fs`, prefix = ''): readonly string[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const path = `${directory}/${name}`;
      const stat = lstat(path);
      if (stat?.type === 'directory') return [`${prefix}${name}/`, ...contents(path, `${prefix}${name}/`)];
      if (stat?.type === 'file') return [`${prefix}${name}=${readFileSync(path, 'utf8')}`];
      return [`${prefix}${name} ${stat?.type ?? 'gone'}`];
    });
}

describe('honest layers', () => {
  it.each([
    ['plain', (tar: Buffer) => tar],
    ['gzip', (tar: Buffer) => gzipSync(tar)],
    ['zstd', (tar: Buffer) => zstdCompressSync(tar)],
  ])('%s', async (_, compress) => {
    const { tree } = await unpack(
      [
        [{ name: 'd/', type: 'directory', mode: 0o1777, uid: 3, gid: 4 }],
        [{ name: 'd/f', mode: 0o4755, uid: 1, gid: 2 }, 'hello'],
        [{ name: 'l', type: 'symlink', linkname: '/nowhere/../x', uid: 7 }],
        [{ name: 'p', type: 'fifo', mode: 0o600 }],
        [{ name: 'c', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 }],
      ],
      compress,
    );
    expect(contents()).toEqual(['c char-device', 'd/', 'd/f=hello', 'l symlink', 'p fifo']);
    expect(lstat(`${scratch}/fs/d`)).toMatchObject({ mode: 0o1777, uid: 3, gid: 4, mtime: 1_000_000_000 });
    expect(lstat(`${scratch}/fs/d/f`)).toMatchObject({ mode: 0o4755, uid: 1, gid: 2, mtime: 1_000_000_000 });
    expect(lstat(`${scratch}/fs/l`)).toMatchObject({ uid: 7, mtime: 1_000_000_000 });
    expect(lstat(`${scratch}/fs/c`)).toMatchObject({ major: 1, minor: 3, mode: 0o666 });
    const entry = tree.get('d/f');
    expect(entry?.type === 'file' && entry.digest).toBe(
      'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
    );
    expect(readdirSync(scratch).sort()).toEqual(['blob', 'fs', 'sentinel']);
  });

  it('hashes nothing for who knows the tree, and makes the same of it', async () => {
    const { tree } = await unpack(
      [
        [{ name: 'a' }, 'first'],
        [{ name: 'b', type: 'link', linkname: 'a' }],
        [{ name: 'a' }, 'last'],
        [{ name: 'e' }],
      ],
      (tar) => gzipSync(tar),
      false,
    );
    expect(contents()).toEqual(['a=last', 'b=first', 'e=']);
    expect([...tree.values()].map((entry) => entry.type === 'file' && entry.digest)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('marks what is gone: whiteouts and opaque directories', async () => {
    await unpack([[{ name: 'a/.wh.gone' }], [{ name: 'b/.wh..wh..opq' }], [{ name: 'b/new' }, '1']]);
    expect(lstat(`${scratch}/fs/a/gone`)).toMatchObject({ type: 'char-device', major: 0, minor: 0 });
    expect(readXattr(`${scratch}/fs/b`, 'trusted.overlay.opaque')).toEqual(Uint8Array.of(0x79));
    expect(readXattr(`${scratch}/fs/a`, 'trusted.overlay.opaque')).toBeUndefined();
  });

  it('keeps capabilities', async () => {
    const capability = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';
    await unpack([
      [{ name: 'ping', mode: 0o755, uid: 5, pax: { 'SCHILY.xattr.security.capability': capability } }, 'x'],
    ]);
    expect(Buffer.from(readXattr(`${scratch}/fs/ping`, 'security.capability') ?? []).toString('latin1')).toBe(
      capability,
    );
  });

  it('makes parents that the archive leaves out, and says which', async () => {
    const { implicit } = await unpack([
      [{ name: 'tmp/x' }, '1'],
      [{ name: 'usr/', type: 'directory', mode: 0o700 }],
      [{ name: 'usr/lib/y' }, '2'],
    ]);
    expect([...implicit].sort()).toEqual(['tmp', 'usr/lib']);
    expect(lstat(`${scratch}/fs/tmp`)).toMatchObject({ mode: 0o755, uid: 0, gid: 0 });
    expect(lstat(`${scratch}/fs/usr`)).toMatchObject({ mode: 0o700 });
  });

  it('links names of one file, whichever of them came first', async () => {
    await unpack([
      [{ name: 'z', mode: 0o640 }, 'bytes'],
      [{ name: 'a', type: 'link', linkname: 'z' }],
      [{ name: 'd/m', type: 'link', linkname: './z' }],
    ]);
    expect(contents()).toEqual(['a=bytes', 'd/', 'd/m=bytes', 'z=bytes']);
    expect(lstatSync(`${scratch}/fs/a`)).toMatchObject({ ino: lstatSync(`${scratch}/fs/z`).ino, nlink: 3 });
  });
});

describe('archives that say things twice', () => {
  it.each<readonly [string, readonly Entry[], readonly string[]]>([
    [
      'the last file wins',
      [
        [{ name: 'f' }, 'old'],
        [{ name: 'f' }, 'new'],
        [{ name: 'f' }, 'newest'],
      ],
      ['f=newest'],
    ],
    [
      'a file, then a directory with the name',
      [[{ name: 'x' }, 'file'], [{ name: 'x/', type: 'directory' }], [{ name: 'x/y' }, '1']],
      ['x/', 'x/y=1'],
    ],
    [
      'a directory with content, then a file with the name',
      [
        [{ name: 'x/y/z' }, '1'],
        [{ name: 'x' }, 'file'],
      ],
      ['x=file'],
    ],
    ['a file, then a link', [[{ name: 'x' }, 'file'], [{ name: 'x', type: 'symlink', linkname: '/y' }]], ['x symlink']],
    [
      'a linked file whose first name is replaced',
      [[{ name: 'z' }, 'one'], [{ name: 'a', type: 'link', linkname: 'z' }], [{ name: 'z' }, 'two']],
      ['a=one', 'z=two'],
    ],
    [
      'a path through a link of the layer leads where the link leads',
      [
        [{ name: 'real/', type: 'directory' }],
        [{ name: 'alias', type: 'symlink', linkname: 'real' }],
        [{ name: 'alias/f' }, '1'],
      ],
      ['alias symlink', 'real/', 'real/f=1'],
    ],
    [
      'the same with a link to an absolute path, inside the root',
      [[{ name: 'lib', type: 'symlink', linkname: '/usr/lib' }], [{ name: 'lib/so' }, '1']],
      ['lib symlink', 'usr/', 'usr/lib/', 'usr/lib/so=1'],
    ],
  ])('%s', async (_, entries, expected) => {
    await unpack(entries);
    expect(contents()).toEqual(expected);
  });
});

describe('hostile archives write nothing outside', () => {
  const outside = (): readonly string[] =>
    readdirSync(scratch).filter((name) => !['blob', 'fs', 'fs.parts'].includes(name));

  it.each<readonly [string, readonly Entry[]]>([
    ['CVE-2026-28406: a name that leaves the root', [[{ name: '../escaped' }, 'x']]],
    ['in the middle of a name', [[{ name: 'a/../../escaped' }, 'x']]],
    ['a hard link to the outside', [[{ name: 'h', type: 'link', linkname: '../sentinel' }]]],
    [
      'a hard link to an absolute path that is not in the layer',
      [[{ name: 'h', type: 'link', linkname: '/etc/shadow' }]],
    ],
    [
      'CVE-2026-26960: a hard link through a chain of links',
      [
        [{ name: 'a', type: 'symlink', linkname: '..' }],
        [{ name: 'b', type: 'symlink', linkname: 'a/..' }],
        [{ name: 'h', type: 'link', linkname: 'b/sentinel' }],
      ],
    ],
    ['a whiteout that names nothing', [[{ name: 'a/.wh...' }]]],
    [
      'a file as a directory',
      [
        [{ name: 'f' }, 'x'],
        [{ name: 'f/g' }, 'y'],
      ],
    ],
    [
      'links in a circle',
      [
        [{ name: 'a', type: 'symlink', linkname: 'b' }],
        [{ name: 'b', type: 'symlink', linkname: 'a' }],
        [{ name: 'a/f' }, 'x'],
      ],
    ],
    ['the root as a file', [[{ name: './', type: 'symlink', linkname: '/' }]]],
  ])('%s', async (_, entries) => {
    await expect(unpack(entries)).rejects.toMatchObject({
      code: expect.stringMatching(/^(hostile|unsupported)$/) as string,
    });
    expect(outside()).toEqual(['sentinel']);
    expect(readFileSync(`${scratch}/sentinel`, 'utf8')).toBe('untouched');
  });

  it.each<readonly [string, readonly Entry[], readonly string[]]>([
    [
      'a link, then a file of the same name (npm tar, CVE-2021-32803)',
      [[{ name: 'x', type: 'symlink', linkname: '../sentinel' }], [{ name: 'x' }, 'mine']],
      ['x=mine'],
    ],
    [
      'a link to the outside, then a file through it',
      [[{ name: 'x', type: 'symlink', linkname: '../..' }], [{ name: 'x/escaped' }, 'mine']],
      ['escaped=mine', 'x symlink'],
    ],
    ['an absolute name', [[{ name: '/abs' }, 'mine']], ['abs=mine']],
    [
      'a directory, then a link of its name, then a file in it',
      [
        [{ name: 'x/', type: 'directory' }],
        [{ name: 'x', type: 'symlink', linkname: '..' }],
        [{ name: 'x/escaped' }, 'mine'],
      ],
      ['escaped=mine', 'x symlink'],
    ],
  ])('%s', async (_, entries, expected) => {
    await unpack(entries);
    expect(contents()).toEqual(expected);
    expect(outside()).toEqual(['sentinel']);
    expect(readFileSync(`${scratch}/sentinel`, 'utf8')).toBe('untouched');
  });

  it('does not write through what is there already', async () => {
    symlinkSync(scratch, `${scratch}/fs`);
    await expect(unpack([[{ name: 'escaped' }, 'x']])).rejects.toThrow();
    expect(existsSync(`${scratch}/escaped`)).toBe(false);
  });

  it.each([
    ['cut off in a header', (tar: Buffer) => tar.subarray(0, 100)],
    ['cut off in a file', (tar: Buffer) => tar.subarray(0, 700)],
    ['damaged compression', (tar: Buffer) => gzipSync(tar).subarray(0, 60)],
  ])('%s is an error', async (_, damage) => {
    await expect(unpack([[{ name: 'f' }, 'x'.repeat(1000)]], damage)).rejects.toMatchObject({ code: 'hostile' });
  });
});
