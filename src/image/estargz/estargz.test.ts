import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import type { TarHeader } from '../tar/types.ts';
import { paddingOf } from '../tar/types.ts';
import { TAR_END, encodeTarHeader } from '../tar/write.ts';
import { CHUNK_SIZE } from './members.ts';
import { TOC_DIGEST, UNCOMPRESSED_SIZE } from './toc-annotations.ts';
import { writeEstargz } from './write.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-estargz-'));
afterAll(() => rmSync(dir, { recursive: true }));

interface Entry {
  readonly name: string;
  readonly type: string;
  readonly size?: number;
  readonly offset?: number;
  readonly chunkOffset?: number;
  readonly chunkSize?: number;
  readonly chunkDigest?: string;
  readonly digest?: string;
}

const sha256 = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

function tarOf(
  files: readonly (Partial<TarHeader> & { readonly name: string; readonly content?: Uint8Array })[],
): Buffer {
  const parts = files.flatMap(({ content = new Uint8Array(0), ...header }) => [
    encodeTarHeader({
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 1_700_000_000,
      mtimeNsec: 0,
      target: '',
      major: 0,
      minor: 0,
      size: content.length,
      ...header,
    }),
    content,
    Buffer.alloc(paddingOf(content.length)),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

/** @param cut Bytes of the pieces that the tar comes in. */
async function write(tar: Buffer, cut = tar.length) {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < tar.length; at += cut) {
      const piece = Buffer.from(tar.subarray(at, at + cut));
      yield piece;
    }
  }
  // Whoever makes tars uses its blocks again.
  const blob = writeEstargz(pieces(), { level: 1, name: 'the tar', release: (piece) => piece.fill(0xee) });
  const chunks: Uint8Array[] = [];
  for await (const chunk of blob.bytes) chunks.push(chunk);
  return { bytes: Buffer.concat(chunks), ...blob.result() };
}

/** Reads a blob as a snapshotter does: footer, table, then single chunks. */
function open(blob: Buffer): {
  readonly toc: Buffer;
  readonly entries: readonly Entry[];
  chunk(entry: Entry, fileSize: number): Buffer;
} {
  const footer = blob.subarray(-51);
  expect(footer.subarray(0, 4)).toEqual(Buffer.from([0x1f, 0x8b, 8, 4]));
  const place = /^([0-9a-f]{16})STARGZ$/.exec(footer.subarray(16, 38).toString('latin1'))?.[1] ?? '';
  const member = gunzipSync(blob.subarray(parseInt(place, 16), -51));
  expect(member.subarray(0, 17).toString()).toBe('stargz.index.json');
  const size = parseInt(member.subarray(124, 135).toString(), 8);
  const toc = member.subarray(512, 512 + size);
  const { version, entries } = JSON.parse(toc.toString()) as { version: number; entries: Entry[] };
  expect(version).toBe(1);
  return {
    toc,
    entries,
    chunk(entry, fileSize) {
      // One gzip member: its header is 10 bytes, and what follows it is not looked at.
      const content = inflateRawSync(blob.subarray((entry.offset ?? 0) + 10), { finishFlush: 2 });
      return content.subarray(0, entry.chunkSize || fileSize - (entry.chunkOffset ?? 0));
    },
  };
}

const noise = (size: number): Buffer => {
  const bytes = Buffer.alloc(size);
  for (let i = 0, x = 1; i < size; i++) bytes[i] = (x = (x * 48271) % 0x7fffffff) & 0xff;
  return bytes;
};
const FILES = [
  { name: 'etc/', type: 'directory', mode: 0o755 },
  { name: 'etc/hello', content: Buffer.from('hello\n') },
  { name: 'etc/empty' },
  { name: 'etc/link', type: 'symlink', target: 'hello', mode: 0o777 },
  { name: 'etc/hard', type: 'hardlink', target: 'etc/hello' },
  { name: 'dev/null', type: 'char-device', major: 1, minor: 3 },
  { name: 'exact', content: noise(CHUNK_SIZE) },
  { name: 'big', content: noise(2 * CHUNK_SIZE + 5), mode: 0o4755 },
  { name: `${'long/'.repeat(40)}name`, content: Buffer.from('far away') },
  { name: 'caps', content: noise(700), xattrs: new Map([['security.capability', Buffer.from([1, 0, 2])]]) },
] as const;

describe('an eStargz blob', () => {
  test.each([undefined, 512, 1000, 1 << 20])('of a tar in pieces of %s bytes', async (cut) => {
    const tar = tarOf(FILES);
    const { bytes, diffId, annotations } = await write(tar, cut);
    const plain = gunzipSync(bytes);
    expect(diffId).toBe(sha256(plain));
    expect(plain.subarray(0, tar.length).equals(tar)).toBe(true);
    const opened = open(bytes);
    const { toc, entries } = opened;
    expect(annotations).toEqual({ [TOC_DIGEST]: sha256(toc), [UNCOMPRESSED_SIZE]: String(plain.length) });

    const byName = new Map<string, Entry[]>();
    for (const entry of entries) byName.set(entry.name, [...(byName.get(entry.name) ?? []), entry]);
    expect([...byName.keys()]).toEqual(FILES.map(({ name }) => name));
    for (const file of FILES) {
      const own = byName.get(file.name) ?? [];
      if (!('content' in file)) continue;
      const content = Buffer.concat(
        own.map((entry) => {
          const piece = opened.chunk(entry, file.content.length);
          expect(sha256(piece)).toBe(entry.chunkDigest);
          return piece;
        }),
      );
      expect(content.equals(file.content)).toBe(true);
      expect(own[0]?.digest).toBe(sha256(file.content));
      expect(own.map(({ type }) => type)).toEqual(['reg', ...own.slice(1).map(() => 'chunk')]);
    }
    expect(byName.get('big')).toHaveLength(3);
    expect(byName.get('exact')).toMatchObject([{ size: CHUNK_SIZE, chunkSize: CHUNK_SIZE }]);
    expect(byName.get('etc/')).toEqual([{ name: 'etc/', type: 'dir', modtime: '2023-11-14T22:13:20Z', mode: 0o755 }]);
    expect(byName.get('etc/link')).toMatchObject([{ type: 'symlink', linkName: 'hello' }]);
    expect(byName.get('etc/hard')).toMatchObject([{ type: 'hardlink', linkName: 'etc/hello' }]);
    expect(byName.get('dev/null')).toMatchObject([{ type: 'char', devMajor: 1, devMinor: 3 }]);
    expect(byName.get('caps')).toMatchObject([{ xattrs: { 'security.capability': 'AQAC' } }]);
  });

  test('is the same however the tar came', async () => {
    const tar = tarOf(FILES);
    expect((await write(tar, 777)).bytes.equals((await write(tar)).bytes)).toBe(true);
  });

  test('unpacks with tar and gzip, which see nothing of the table', async () => {
    const { bytes } = await write(tarOf(FILES));
    const path = join(dir, 'blob.tar.gz');
    writeFileSync(path, bytes);
    const names = execFileSync('tar', ['-tzf', path], { encoding: 'utf8' }).trim().split('\n');
    expect(names).toEqual(FILES.map(({ name }) => name));
    execFileSync('gzip', ['-t', path]);
  });

  test('of nothing', async () => {
    const { entries } = open((await write(tarOf([]))).bytes);
    expect(entries).toEqual([]);
  });

  test.each([
    ['a file of its own name', tarOf([{ name: './stargz.index.json', content: Buffer.from('{}') }]), 'unsupported'],
    ['a tar that ends too soon', tarOf(FILES).subarray(0, 1500), 'hostile'],
  ])('refuses %s', async (_, tar, code) => {
    await expect(write(tar)).rejects.toMatchObject({ code });
  });

  test('refuses a sparse file, whose bytes are not all in the tar', async () => {
    const path = join(dir, 'sparse');
    execFileSync('truncate', ['-s', '3M', path]);
    const tar = execFileSync('tar', ['--sparse', '--format=gnu', '-C', dir, '-cf', '-', 'sparse'], {
      maxBuffer: 1 << 24,
    });
    await expect(write(tar)).rejects.toMatchObject({ code: 'unsupported' });
  });
});
