import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FileTree } from '../../contracts/index.ts';
import { readTar } from '../../image/index.ts';
import { openStore } from '../../store/index.ts';
import type { Store } from '../../store/index.ts';
import { NOW, StagedTree, copyAction } from '../testing/actions.ts';
import { describeTree, digestOf, dir, file, link, memoryTree } from '../testing/memory-tree.ts';
import type { Literal } from '../testing/memory-tree.ts';
import { openArchive } from './archive.ts';
import { createContents } from './contents.ts';
import { copySources } from './copy.ts';
import { selectSources } from './select.ts';
import { unpackerFor } from './unpack.ts';

let directory: string;
let store: Store;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'slipway-unpack-'));
  store = await openStore({ root: join(directory, 'store') });
});
afterAll(() => {
  store.close();
  rmSync(directory, { recursive: true });
});

const { signal } = new AbortController();

type Entry = Parameters<ReturnType<typeof pack>['entry']>[0] & { content?: string };

async function tar(entries: readonly Entry[]): Promise<Buffer> {
  const stream = pack();
  const written = buffer(stream);
  for (const { content, ...header } of entries) {
    const full = { uid: 0, gid: 0, mtime: new Date(1_000_000), ...header };
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve());
      if (content === undefined) stream.entry(full, done);
      else stream.entry(full, content, done);
    });
  }
  stream.finalize();
  return written;
}

/** A context of one file. */
function only(name: string, data: Buffer): FileTree {
  const tree = memoryTree({ [name]: file('', { mode: 0o600 }) });
  return {
    ...tree,
    digests: async () => [digestOf(data)],
    locate: async () => [{ kind: 'bytes', data }],
  };
}

interface Adding {
  readonly base?: Record<string, Literal>;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly dest?: string;
  readonly name?: string;
}

async function add(
  data: Buffer,
  { base = {}, owner, dest = '/o/', name = 'archive' }: Adding = {},
): Promise<StagedTree> {
  const staged = new StagedTree(memoryTree(base));
  const action = copyAction(name, dest, { attemptUnpackDockerCompatibility: true });
  const selection = await selectSources({ tree: only(name, data), snapshot: undefined, vertex: undefined }, action);
  const making = { owner, stamp: NOW };
  const unpack = unpackerFor({ staged, selection, action, making, contents: createContents(store), signal });
  await copySources(staged, selection, action, making, unpack);
  return staged;
}

const layerOf = async (staged: StagedTree): Promise<string[]> => describeTree((await staged.finish()).tree);

const simple: readonly Entry[] = [
  { name: 'd/', type: 'directory', mode: 0o750, uid: 5, gid: 6 },
  { name: 'd/f', content: 'text', mode: 0o640, uid: 7, gid: 8 },
  { name: 'l', type: 'symlink', linkname: 'd/f' },
];
const simpleLayer = ['o/ 0755 0:0', 'o/d/ 0750 5:6', 'o/d/f file 0640 7:8 4', 'o/l -> d/f 0:0'];

describe('an archive is known by its content', () => {
  test.each([
    ['plain', (data: Buffer) => data],
    ['gzip', (data: Buffer) => gzipSync(data)],
    ['zstd', (data: Buffer) => zstdCompressSync(data)],
    ['bzip2', (data: Buffer) => execFileSync('bzip2', ['-c'], { input: data })],
    ['xz', (data: Buffer) => execFileSync('xz', ['-c'], { input: data })],
  ])('%s', async (_, compress) => {
    const staged = await add(compress(await tar(simple)));
    expect(await layerOf(staged)).toEqual(simpleLayer);
    expect([...(await staged.locate(['o/d/f']))]).toEqual([{ kind: 'bytes', data: Buffer.from('text') }]);
    expect(await staged.digests(['o/d/f'])).toEqual([digestOf('text')]);
  });

  test.each([
    ['text', Buffer.from('text')],
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(4096)],
    ['gzip of something else', gzipSync('text '.repeat(500))],
    ['the beginning of gzip', Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8])],
    ['bzip2 by its first letters', Buffer.from('BZh not at all')],
  ])('%s is copied as it is', async (_, data) => {
    expect(await layerOf(await add(data))).toEqual(['o/ 0755 0:0', 'o/archive file 0600 0:0 0']);
  });
});

test('a missing program is named, with its package', async () => {
  const data = execFileSync('xz', ['-c'], { input: await tar(simple) });
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    await expect(add(data)).rejects.toMatchObject({ code: 'host', hint: 'Install it: apt-get install xz-utils.' });
  } finally {
    process.env['PATH'] = path;
  }
});

test('an archive that changed since it was keyed is refused', async () => {
  const path = join(directory, 'changing.tar');
  writeFileSync(path, await tar(simple));
  const archive = await openArchive({ kind: 'context-file', path }, digestOf('what it was'), 'changing.tar', signal);
  const entries: string[] = [];
  for await (const { header } of readTar(archive!.stream)) entries.push(header.name);
  expect(entries).toEqual(['d/', 'd/f', 'l']);
  await expect(archive!.verify()).rejects.toMatchObject({ code: 'context' });
});

test('large files lie in the store', async () => {
  const content = 'large '.repeat(50_000);
  const staged = await add(await tar([{ name: 'f', content }]));
  const path = store.filePath(digestOf(content));
  expect([...(await staged.locate(['o/f']))]).toEqual([{ kind: 'file', path }]);
  expect(readFileSync(path, 'utf8')).toBe(content);
});

test('the destination is a directory, with or without a slash', async () => {
  expect(await layerOf(await add(await tar(simple), { dest: '/o' }))).toEqual(simpleLayer);
  await expect(add(await tar(simple), { dest: '/o', base: { o: 'file' } })).rejects.toMatchObject({ code: 'copy' });
});

test('--chown holds for the destination and every entry', async () => {
  const layer = await layerOf(await add(await tar(simple), { owner: { uid: 33, gid: 34 } }));
  expect(layer).toEqual(['o/ 0755 33:34', 'o/d/ 0750 33:34', 'o/d/f file 0640 33:34 4', 'o/l -> d/f 33:34']);
});

test('times are those of the archive', async () => {
  const entries: Entry[] = [
    { name: 'f', content: '', mtime: new Date(1_234_000) },
    { name: 'old', content: '', pax: { mtime: '-5' } },
  ];
  const { tree } = await (await add(await tar(entries))).finish();
  expect([tree.get('o/f'), tree.get('o/old')]).toMatchObject([{ mtime: 1234 }, { mtime: 0 }]);
});

test('missing directories are made 0755 of root, whoever owns the entries', async () => {
  const layer = await layerOf(await add(await tar([{ name: 'a/b/f', content: 'x', uid: 9, gid: 9 }])));
  expect(layer).toEqual(['o/ 0755 0:0', 'o/a/ 0755 0:0', 'o/a/b/ 0755 0:0', 'o/a/b/f file 0644 9:9 1']);
});

test('the archive root is left alone, devices and pipes are made', async () => {
  const entries: Entry[] = [
    { name: './', type: 'directory', mode: 0o700, uid: 9 },
    { name: 'null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
    { name: 'pipe', type: 'fifo' },
    { name: 'f', content: 'x' },
  ];
  const base = { o: dir({ mode: 0o711 }), 'o/pipe': 'p' };
  expect(await layerOf(await add(await tar(entries), { dest: '/o/', base }))).toEqual([
    'o/f file 0644 0:0 1',
    'o/null char-device 0666 0:0',
    'o/pipe fifo 0644 0:0',
  ]);
});

test('what is there is merged or replaced', async () => {
  const base = { 'o/d/old': 'old', 'o/f/below': 'x', 'o/l': link('/etc'), 'etc/passwd': 'root' };
  const entries: Entry[] = [
    { name: 'd/', type: 'directory', mode: 0o700 },
    { name: 'd/new', content: 'new' },
    { name: 'f', content: 'now a file' },
    { name: 'l/', type: 'directory' },
    { name: 'l/passwd', content: 'no root' },
  ];
  expect(await layerOf(await add(await tar(entries), { base }))).toEqual([
    'o/d/ 0700 0:0',
    'o/d/new file 0644 0:0 3',
    'o/f file 0644 0:0 10',
    'o/l/ 0755 0:0 opaque',
    'o/l/passwd file 0644 0:0 7',
  ]);
});

test('links on the way are followed inside the destination; absolute ones begin there', async () => {
  const entries: Entry[] = [
    { name: 'real/', type: 'directory' },
    { name: 'abs', type: 'symlink', linkname: '/real' },
    { name: 'abs/f', content: 'x' },
    { name: 'rel', type: 'symlink', linkname: 'real/../real' },
    { name: 'rel/g', content: 'y' },
  ];
  expect(await layerOf(await add(await tar(entries), { base: { 'real/host': '' } }))).toEqual([
    'o/ 0755 0:0',
    'o/abs -> /real 0:0',
    'o/real/ 0755 0:0',
    'o/real/f file 0644 0:0 1',
    'o/real/g file 0644 0:0 1',
    'o/rel -> real/../real 0:0',
  ]);
});

describe('hard links', () => {
  test('share content and metadata, that of the last header', async () => {
    const entries: Entry[] = [
      { name: 'a', content: 'text', mode: 0o644 },
      { name: 'b', type: 'link', linkname: 'a', mode: 0o600, uid: 4, gid: 5 },
    ];
    expect(await layerOf(await add(await tar(entries)))).toEqual(['o/ 0755 0:0', 'o/a file 0600 4:5 4', 'o/b = o/a']);
  });

  test('to a file of the layers below bring it into this layer', async () => {
    const staged = await add(await tar([{ name: 'b', type: 'link', linkname: 'a', mode: 0o644 }]), {
      base: { 'o/a': 'base' },
    });
    expect(await layerOf(staged)).toEqual(['o/a file 0644 0:0 4', 'o/b = o/a']);
    expect(await staged.digests(['o/a', 'o/b'])).toEqual([digestOf('base'), digestOf('base')]);
  });

  test('survive when their first name is overwritten', async () => {
    const entries: Entry[] = [
      { name: 'a', content: 'text' },
      { name: 'b', type: 'link', linkname: 'a' },
      { name: 'c', type: 'link', linkname: 'b' },
      { name: 'a', content: 'other' },
    ];
    const staged = await add(await tar(entries));
    expect(await layerOf(staged)).toEqual(['o/ 0755 0:0', 'o/a file 0644 0:0 5', 'o/b file 0644 0:0 4', 'o/c = o/b']);
    expect(await staged.digests(['o/a', 'o/c'])).toEqual([digestOf('other'), digestOf('text')]);
  });
});

describe('an archive cannot leave its destination', () => {
  test.each(['../evil', 'a/../../evil', './../evil', '..'])('by the name %s', async (name) => {
    await expect(add(await tar([{ name, content: 'x' }]))).rejects.toMatchObject({ code: 'hostile' });
  });

  const root = { base: 'secret', evil: 'kept', 'etc/passwd': 'root' };
  const hostile: readonly (readonly [string, readonly Entry[], readonly string[]])[] = [
    [
      'by an absolute name',
      [{ name: '/etc/passwd', content: 'x' }],
      ['o/etc/ 0755 0:0', 'o/etc/passwd file 0644 0:0 1'],
    ],
    [
      'by a link and a file below it (CVE-2026-28406)',
      [
        { name: 'l', type: 'symlink', linkname: '../..' },
        { name: 'l/evil', content: 'x' },
      ],
      ['o/evil file 0644 0:0 1', 'o/l -> ../.. 0:0'],
    ],
    [
      'by a chain of links (CVE-2026-26960)',
      [
        { name: 'a/b/', type: 'directory' },
        { name: 'a/b/up', type: 'symlink', linkname: '../../..' },
        { name: 'out', type: 'symlink', linkname: 'a/b/up/../..' },
        { name: 'out/evil', content: 'x' },
      ],
      [
        'o/a/ 0755 0:0',
        'o/a/b/ 0755 0:0',
        'o/a/b/up -> ../../.. 0:0',
        'o/evil file 0644 0:0 1',
        'o/out -> a/b/up/../.. 0:0',
      ],
    ],
  ];
  test.each(hostile)('%s', async (_, entries, layer) => {
    expect(await layerOf(await add(await tar(entries), { base: root }))).toEqual(['o/ 0755 0:0', ...layer]);
  });

  test.each([
    ['by a hard link', '../base'],
    ['by an absolute hard link', '/base'],
    ['by a hard link to its root', '.'],
  ])('%s', async (_, linkname) => {
    const entries: Entry[] = [{ name: 'h', type: 'link', linkname }];
    await expect(add(await tar(entries), { base: root })).rejects.toMatchObject({ code: 'hostile' });
  });

  test('by links in a circle', async () => {
    const entries: Entry[] = [
      { name: 'a', type: 'symlink', linkname: 'b' },
      { name: 'b', type: 'symlink', linkname: 'a' },
      { name: 'a/f', content: 'x' },
    ];
    await expect(add(await tar(entries))).rejects.toMatchObject({ code: 'hostile' });
  });
});
