import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { TAR_END, encodeTarHeader } from '../../image/index.ts';
import type { TarHeader } from '../../image/index.ts';
import { unpackContext } from './from-tar.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-tar-'));
afterAll(() => rmSync(dir, { recursive: true }));
let count = 0;

async function* pieces(data: Uint8Array, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function unpack(data: Uint8Array): Promise<string> {
  const target = join(dir, `out-${count++}`);
  await unpackContext(pieces(data), target, new AbortController().signal);
  return target;
}

function entry(header: Partial<TarHeader> & { readonly name: string }, body = ''): Uint8Array {
  const full: TarHeader = {
    type: 'file',
    target: '',
    mode: 0o644,
    uid: 5,
    gid: 6,
    size: body.length,
    mtime: 1000,
    mtimeNsec: 0,
    major: 0,
    minor: 0,
    ...header,
  };
  return Buffer.concat([encodeTarHeader(full), Buffer.from(body), Buffer.alloc((512 - (body.length % 512)) % 512)]);
}
const tar = (...entries: readonly Uint8Array[]): Buffer => Buffer.concat([...entries, TAR_END]);

/** An honest tree, packed by tar(1). */
function honest(): { plain: Buffer; root: string } {
  const root = join(dir, `in-${count++}`);
  mkdirSync(join(root, 'sub/deep'), { recursive: true });
  writeFileSync(join(root, 'sub/file'), 'content', { mode: 0o750 });
  execFileSync('touch', ['-d', '2001-02-03T04:05:06.123456789Z', join(root, 'sub/file')]);
  symlinkSync('file', join(root, 'sub/link'));
  execFileSync('ln', [join(root, 'sub/file'), join(root, 'sub/deep/hard')]);
  execFileSync('mkfifo', [join(root, 'fifo')]);
  execFileSync('touch', ['-d', '@1000', join(root, 'sub/deep'), join(root, 'sub')]);
  return { plain: execFileSync('tar', ['--format=pax', '-C', root, '-cf', '-', '.']), root };
}

describe('an honest tar', () => {
  const compressions: readonly (readonly [string, (data: Buffer) => Buffer])[] = [
    ['plain', (data) => data],
    ['gzip', (data) => gzipSync(data)],
    ['zstd', (data) => zstdCompressSync(data)],
    ['xz', (data) => execFileSync('xz', ['-c'], { input: data })],
    ['bzip2', (data) => execFileSync('bzip2', ['-c'], { input: data })],
  ];
  it.each(compressions)('%s', async (_, compress) => {
    const out = await unpack(compress(honest().plain));
    const file = statSync(join(out, 'sub/file'), { bigint: true });
    expect(readFileSync(join(out, 'sub/file'), 'utf8')).toBe('content');
    expect(file.mode & 0o7777n).toBe(0o750n);
    expect(file.mtimeNs).toBe(981173106123456789n);
    expect(file.ino).toBe(statSync(join(out, 'sub/deep/hard'), { bigint: true }).ino);
    expect(readlinkSync(join(out, 'sub/link'))).toBe('file');
    expect(lstatSync(join(out, 'fifo')).isFIFO()).toBe(true);
    expect(statSync(join(out, 'sub')).mtimeMs).toBe(1_000_000);
    expect(statSync(join(out, 'sub/deep')).mtimeMs).toBe(1_000_000);
  });

  it('may name things twice, parents late, and directories that may not be entered', async () => {
    const out = await unpack(
      tar(
        entry({ name: 'a/b', size: 1 }, '1'),
        entry({ name: 'a/', type: 'directory', mode: 0o700, mtime: 77 }),
        entry({ name: 'a/b', size: 1 }, '2'),
        entry({ name: 'closed/', type: 'directory', mode: 0o500 }),
        entry({ name: './closed/x', size: 1 }, '3'),
        entry({ name: 'dev', type: 'char-device', major: 1, minor: 3 }),
      ),
    );
    expect(readFileSync(join(out, 'a/b'), 'utf8')).toBe('2');
    expect(statSync(join(out, 'a'))).toMatchObject({ mtimeMs: 77_000 });
    expect(statSync(join(out, 'closed')).mode & 0o777).toBe(0o500);
    expect(readFileSync(join(out, 'closed/x'), 'utf8')).toBe('3');
    expect(existsSync(join(out, 'dev'))).toBe(false);
  });

  it('may be empty', async () => {
    expect(readdirSync(await unpack(Buffer.from(TAR_END)))).toEqual([]);
  });
});

describe('a hostile tar writes nothing outside', () => {
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'victim'), 'untouched');
  const table: readonly (readonly [string, Uint8Array])[] = [
    ['dot-dot (CVE-2026-28406)', tar(entry({ name: '../outside/victim' }, 'x'))],
    ['dot-dot in the middle', tar(entry({ name: 'a/../../outside/victim' }, 'x'))],
    [
      'a file through a link',
      tar(entry({ name: 'l', type: 'symlink', target: outside }), entry({ name: 'l/victim' }, 'x')),
    ],
    [
      'a file through a relative link',
      tar(entry({ name: 'l', type: 'symlink', target: '../outside' }), entry({ name: 'l/victim' }, 'x')),
    ],
    [
      'a directory through a link',
      tar(entry({ name: 'l', type: 'symlink', target: outside }), entry({ name: 'l/new/', type: 'directory' })),
    ],
    [
      'a hard link to a host file (CVE-2026-26960)',
      tar(entry({ name: 'h', type: 'hardlink', target: join(outside, 'victim') })),
    ],
    ['a hard link up', tar(entry({ name: 'h', type: 'hardlink', target: '../outside/victim' }))],
    [
      'a hard link through a link',
      tar(
        entry({ name: 'l', type: 'symlink', target: outside }),
        entry({ name: 'h', type: 'hardlink', target: 'l/victim' }),
      ),
    ],
    [
      'a hard link to a link, then written (CVE-2026-26960)',
      tar(
        entry({ name: 'l', type: 'symlink', target: join(outside, 'victim') }),
        entry({ name: 'h', type: 'hardlink', target: 'l' }),
        entry({ name: 'h' }, 'x'),
      ),
    ],
  ];
  it.each(table)('%s', async (_, data) => {
    await expect(unpack(data)).rejects.toMatchObject({ code: 'hostile' });
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('untouched');
    expect(statSync(join(outside, 'victim')).nlink).toBe(1);
    expect(readdirSync(outside)).toEqual(['victim']);
  });

  it('and takes the place of links rather than following them', async () => {
    const out = await unpack(
      tar(entry({ name: 'l', type: 'symlink', target: join(outside, 'victim') }), entry({ name: 'l' }, 'mine')),
    );
    expect(readFileSync(join(out, 'l'), 'utf8')).toBe('mine');
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('untouched');
  });

  it('and an absolute name is one below the root', async () => {
    const out = await unpack(tar(entry({ name: join(outside, 'victim') }, 'mine')));
    expect(readFileSync(join(out, outside, 'victim'), 'utf8')).toBe('mine');
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('untouched');
  });
});

it.each([
  ['cut', (plain: Buffer) => plain.subarray(0, 700)],
  ['cut in its compression', (plain: Buffer) => gzipSync(plain).subarray(0, 100)],
  ['noise', () => Buffer.alloc(2048, 'slipway')],
])('a tar that is %s', async (_, damage) => {
  await expect(unpack(damage(honest().plain))).rejects.toMatchObject({ code: 'context' });
});
