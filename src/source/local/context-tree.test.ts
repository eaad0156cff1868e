import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseIgnoreFile } from '../../pattern/index.ts';
import { writeXattr } from '../../sys/xattr.ts';
import { encodePath } from '../../sys/path.ts';
import type { ContextTree } from '../types.ts';
import { createFileHasher, HASH_BYTES } from './hash-files.ts';
import type { FileHasher } from './hash-files.ts';
import { createThreadPool } from './thread-pool.ts';
import { createLocalSources } from './local.ts';

const parent = mkdtempSync(join(tmpdir(), 'slipway-context-'));
let root: string;
let hashed: string[];
let cached: Uint8Array | undefined;

beforeEach(() => {
  root = mkdtempSync(join(parent, 'c-'));
  cached = undefined;
  hashed = [];
});
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
afterAll(() => rmSync(parent, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

/** One build's view; what it hashes is noted. */
function build(ignore = ''): { tree: ContextTree; close: () => Promise<void> } {
  const pool = createThreadPool();
  const inner = createFileHasher(pool);
  const hasher: FileHasher = {
    hash(files, signal) {
      hashed.push(...files.map((file) => file.path.slice(root.length + 1)));
      return inner.hash(files, signal);
    },
  };
  const store = {
    readStatCache: async () => cached,
    writeStatCache: async (_: string, parts: readonly Uint8Array[]) => {
      cached = Buffer.concat(parts);
    },
  };
  const lines = parseIgnoreFile(ignore, '.dockerignore');
  const local = createLocalSources({
    contexts: new Map([
      [
        'context',
        { directory: root, ignore: { file: { filename: '.dockerignore', text: ignore, language: 'ignore' }, lines } },
      ],
    ]),
    store,
    hasher,
    signal: new AbortController().signal,
  });
  const close = async (): Promise<void> => {
    await local.close();
    await pool.close();
  };
  closers.push(close);
  return {
    tree: local.snapshot(
      'context',
      lines.map((line) => line.pattern),
    ).files,
    close,
  };
}

async function paths(tree: ContextTree, from = ''): Promise<string[]> {
  return [...(await tree.walk(from))].map(([path]) => path);
}

const sha = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

describe('what is seen', () => {
  it('is everything, owned by nobody, in tree order', async () => {
    write({ 'a-b': '1', 'a/b': '2', 'a/c/d': '3', Z: '4', ä: '5' });
    chmodSync(join(root, 'Z'), 0o4751);
    execFileSync('touch', ['-d', '@-5.5', join(root, 'Z')]);
    symlinkSync('a/c', join(root, 'link'));
    const { tree } = build();
    expect(await paths(tree)).toEqual(['Z', 'a', 'a/b', 'a/c', 'a/c/d', 'a-b', 'link', 'ä']);
    expect(await tree.lookup('Z')).toMatchObject({
      type: 'file',
      mode: 0o4751,
      uid: 0,
      gid: 0,
      size: 1,
      mtime: -6,
      mtimeNsec: 500_000_000,
    });
    expect(await tree.lookup('')).toMatchObject({ type: 'directory', mode: 0o755, uid: 0 });
    expect(await tree.lookup('link')).toMatchObject({ type: 'symlink', target: 'a/c' });
    expect(await tree.list('')).toEqual(['Z', 'a', 'a-b', 'link', 'ä']);
    expect(await tree.list('a/c')).toEqual(['d']);
    expect(await paths(tree, 'a')).toEqual(['a/b', 'a/c', 'a/c/d']);
    const shallow = await tree.walk('', (path) => path === 'a');
    expect(Array.from(shallow, ([path]) => path)).toEqual(['Z', 'a', 'a/b', 'a/c', 'a-b', 'link', 'ä']);
  });

  it('has nothing below links, files and what is not there', async () => {
    write({ 'real/file': 'x', plain: 'y' });
    symlinkSync('real', join(root, 'link'));
    symlinkSync('loop', join(root, 'loop'));
    const { tree } = build();
    for (const path of ['link/file', 'plain/x', 'nope', 'nope/x', 'loop/x', 'x'.repeat(300)]) {
      expect(await tree.lookup(path), path).toBeUndefined();
      expect(await tree.list(path), path).toBeUndefined();
      expect(await paths(tree, path), path).toEqual([]);
    }
    expect(await tree.list('link')).toBeUndefined();
    expect(await tree.list('plain')).toBeUndefined();
  });

  it('keeps names that are not UTF-8, and long nanoseconds', async () => {
    const name = Buffer.from([0x66, 0xff, 0x6f]);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), 'odd');
    const { tree } = build();
    expect(await paths(tree)).toEqual(['f\udcffo']);
    expect(await tree.digests(['f\udcffo'])).toEqual([sha('odd')]);
    const [location] = await tree.locate(['f\udcffo']);
    if (location?.kind !== 'context-file') throw new Error('no file');
    expect(statSync(encodePath(location.path)).size).toBe(3);
    execFileSync('touch', ['-d', '2001-02-03T04:05:06.123456789Z', join(root, 'stamp')]);
    expect(await build().tree.lookup('stamp')).toMatchObject({ mtime: 981173106, mtimeNsec: 123456789 });
  });

  it('has fifos, and sockets', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'socket'), resolve));
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const { tree } = build();
    expect(await paths(tree)).toEqual(['fifo', 'socket']);
    // COPY makes an empty file of it.
    expect(await tree.lookup('socket')).toMatchObject({ type: 'socket' });
    await expect(tree.digests(['fifo'])).rejects.toMatchObject({ code: 'source-missing' });
    await new Promise((resolve) => server.close(resolve));
  });

  it('has the attributes that belong in an image', async () => {
    write({ marked: 'x', plain: 'y', capable: 'z' });
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    writeXattr(join(root, 'capable'), 'security.capability', capability);
    writeXattr(join(root, 'marked'), 'user.note', Buffer.from('hello'));
    for (const { tree, close } of [build(), build()]) {
      const entry = await tree.lookup('marked');
      expect(entry?.type === 'file' && [...(entry.xattrs ?? [])]).toEqual([
        ['user.note', new Uint8Array(Buffer.from('hello'))],
      ]);
      expect(await tree.lookup('plain')).toMatchObject({ xattrs: undefined });
      expect(await tree.lookup('capable')).toMatchObject({ xattrs: undefined });
      await close();
    }
  });

  it('names hard links after the first of a walk', async () => {
    write({ 'b/one': 'x', 'c/lonely': 'x' });
    mkdirSync(join(root, 'a'));
    linkSync(join(root, 'b/one'), join(root, 'a/two'));
    linkSync(join(root, 'b/one'), join(root, 'b/three'));
    const { tree } = build();
    const links = [...(await tree.walk(''))].map(([path, entry]) => [
      path,
      entry.type === 'file' ? entry.hardlink : 'dir',
    ]);
    expect(links).toEqual([
      ['a', 'dir'],
      ['a/two', undefined],
      ['b', 'dir'],
      ['b/one', 'a/two'],
      ['b/three', 'a/two'],
      ['c', 'dir'],
      ['c/lonely', undefined],
    ]);
    const inside = [...(await tree.walk('b'))].map(([path, entry]) => [path, entry.type === 'file' && entry.hardlink]);
    expect(inside).toEqual([
      ['b/one', undefined],
      ['b/three', 'b/one'],
    ]);
  });
});

describe('the ignore file', () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ['', ['.dockerignore', 'a', 'a/keep', 'a/sub', 'a/sub/deep', 'b', 'b/x.log', 'c.log']],
    ['a', ['.dockerignore', 'b', 'b/x.log', 'c.log']],
    ['*.log', ['.dockerignore', 'a', 'a/keep', 'a/sub', 'a/sub/deep', 'b', 'b/x.log']],
    ['**/*.log', ['.dockerignore', 'a', 'a/keep', 'a/sub', 'a/sub/deep', 'b']],
    ['a\n!a/keep', ['.dockerignore', 'a', 'a/keep', 'b', 'b/x.log', 'c.log']],
    ['*\n!a/sub/deep', ['a', 'a/sub', 'a/sub/deep']],
    ['*\n!b/nothing', []],
    ['*\n!**/*.log', ['b', 'b/x.log', 'c.log']],
  ];
  it.each(table)('%j', async (ignore, expected) => {
    write({ '.dockerignore': ignore, 'a/keep': '', 'a/sub/deep': '', 'b/x.log': '', 'c.log': '' });
    const all = await paths(build(ignore).tree);
    expect(all).toEqual(expected);
    // Looked up one by one, nothing listed before, the answer is the same.
    for (const path of ['.dockerignore', 'a', 'a/keep', 'a/sub', 'a/sub/deep', 'b', 'b/x.log', 'c.log'].reverse()) {
      const found = await build(ignore).tree.lookup(path);
      expect(found !== undefined, path).toBe(expected.includes(path));
    }
  });

  it('keeps us out of what it excludes', async () => {
    write({ 'node_modules/x/y': '', a: '' });
    const { tree } = build('node_modules');
    const before = statSync(join(root, 'node_modules')).atimeMs;
    await paths(tree);
    expect(statSync(join(root, 'node_modules')).atimeMs).toBe(before);
    await expect(tree.digests(['node_modules/x/y'])).rejects.toMatchObject({ code: 'source-missing' });
  });
});

describe('explanations', () => {
  beforeEach(() =>
    write({ 'src/App.go': '', 'secret/key': '', 'config.yaml': '', 'a/keep': '', 'a/drop': '', 'x.log': '' }),
  );
  const ignore = '# comment\nsecret\n\na\n!a/keep\n*.log\n';
  it.each([
    ['secret/key', { kind: 'excluded', pattern: 'secret', line: 2 }],
    ['secret', { kind: 'excluded', pattern: 'secret', line: 2 }],
    ['a/drop', { kind: 'excluded', pattern: 'a', line: 4 }],
    ['*.log', { kind: 'excluded', pattern: '*.log', line: 6 }],
    ['src/app.go', { kind: 'similar', paths: ['src/App.go'] }],
    ['SRC/App.go', { kind: 'similar', paths: ['src/App.go'] }],
    ['config.yml', { kind: 'similar', paths: ['config.yaml'] }],
    ['config', { kind: 'similar', paths: ['config.yaml'] }],
    ['scr/App.go', { kind: 'similar', paths: ['src/App.go'] }],
    ['entirely/else', { kind: 'absent' }],
    ['*.txt', { kind: 'absent' }],
    ['secre', { kind: 'absent' }],
  ])('%s', async (path, expected) => {
    expect(await build(ignore).tree.explain(path)).toMatchObject(expected);
  });
});

describe('digests', () => {
  async function settle(): Promise<void> {
    // Files must be older than the moment of hashing for the cache to keep them.
    const past = new Date(Date.now() - 60_000);
    for (const path of await paths(build().tree)) lutimesSync(join(root, path), past, past);
    await new Promise((resolve) => setTimeout(resolve, 80));
  }

  it('are of the content, each file read once in its life', async () => {
    write({ one: 'content', 'two/three': 'more', empty: '' });
    await settle();
    const first = build();
    expect(await first.tree.digests(['two/three', 'one', 'empty', 'one'])).toEqual([
      sha('more'),
      sha('content'),
      sha(''),
      sha('content'),
    ]);
    await first.tree.digests(['one']);
    expect(hashed.sort()).toEqual(['empty', 'one', 'one', 'two/three']);
    await first.close();

    hashed = [];
    const second = build();
    expect(await second.tree.digests(['one', 'two/three'])).toEqual([sha('content'), sha('more')]);
    expect(hashed).toEqual([]);
    await second.close();
  });

  it('are new for a file that changed, whatever its time and size say', async () => {
    write({ one: 'aaaa', two: 'x' });
    await settle();
    const first = build();
    await first.tree.digests(['one', 'two']);
    await first.close();
    const { atime, mtime } = statSync(join(root, 'one'));
    writeFileSync(join(root, 'one'), 'bbbb');
    utimesSync(join(root, 'one'), atime, mtime);
    hashed = [];
    expect(await build().tree.digests(['one', 'two'])).toEqual([sha('bbbb'), sha('x')]);
    expect(hashed).toEqual(['one']);
  });

  it('are learned once, and then said by every entry', async () => {
    write({ a: 'x', 'd/b': 'y', 'd/e/c': 'z' });
    const { tree } = build();
    linkSync(join(root, 'd/b'), join(root, 'd/b2'));
    const before = await tree.survey?.('');
    expect(before).toEqual({ count: 6, linked: new Set(['d/b']), unknown: ['a', 'd/b', 'd/b2', 'd/e/c'] });
    expect((await tree.survey?.('d'))?.count).toBe(4);
    expect(await tree.survey?.('a')).toEqual({ count: 0, linked: new Set(), unknown: [] });
    const walk = await tree.walk('');
    for (const [, entry] of walk) if (entry.type === 'file') expect(entry.digest).toBeUndefined();
    await tree.learn?.(before?.unknown ?? []);
    const found = [...walk].flatMap(([path, entry]) => (entry.type === 'file' ? [[path, entry.digest]] : []));
    expect(found).toEqual([
      ['a', sha('x')],
      ['d/b', sha('y')],
      ['d/b2', sha('y')],
      ['d/e/c', sha('z')],
    ]);
    expect((await tree.survey?.(''))?.unknown).toEqual([]);
    const read = hashed.length;
    await tree.digests(['a', 'd/b']);
    expect(hashed).toHaveLength(read);
  });

  it('survive a renamed directory', async () => {
    write({ 'old/one': 'aaaa' });
    await settle();
    const first = build();
    await first.tree.digests(['old/one']);
    await first.close();
    renameSync(join(root, 'old'), join(root, 'new'));
    hashed = [];
    expect(await build().tree.digests(['new/one'])).toEqual([sha('aaaa')]);
    expect(hashed).toEqual([]);
  });

  it('come from threads that end when they are not needed, and start again', async () => {
    const threads = (): number => readdirSync('/proc/self/task').length;
    writeFileSync(join(root, 'f'), 'text');
    const file = { path: join(root, 'f'), size: 4 };
    const pool = createThreadPool();
    const hasher = createFileHasher(pool, 0);
    const { signal } = new AbortController();
    const ends: readonly (() => void)[] = [() => pool.rest(), () => undefined];
    for (const end of ends) {
      const before = threads();
      const asked = hasher.hash([file], signal);
      pool.rest();
      expect(Buffer.from(await asked).toString('hex')).toBe(sha('text').slice(7));
      expect(threads()).toBeGreaterThan(before);
      end();
      await vi.waitFor(() => expect(threads()).toBe(before), { timeout: 5000 });
    }
    await pool.close();
  });

  it('come from threads in the order asked', async () => {
    const files = Array.from({ length: 300 }, (_, i) => ({ path: join(root, `f${i}`), text: 'x'.repeat(i * 100) }));
    for (const { path, text } of files) writeFileSync(path, text);
    const pool = createThreadPool();
    const hasher = createFileHasher(pool, 0);
    const asked = files.map(({ path, text }) => ({ path, size: text.length })).reverse();
    const { signal } = new AbortController();
    const hashes = await hasher.hash(asked, signal);
    expect(Buffer.from(hashes).toString('hex')).toBe(
      files
        .map(({ text }) => sha(text).slice(7))
        .reverse()
        .join(''),
    );
    // Two callers at once get their own answers, whichever thread gives them.
    const both = await Promise.all([hasher.hash(asked.slice(0, 150), signal), hasher.hash(asked.slice(150), signal)]);
    expect(Buffer.concat(both)).toEqual(Buffer.from(hashes));
    const missing = { path: join(root, 'nope'), size: 0 };
    await expect(hasher.hash([...asked, missing], signal)).rejects.toMatchObject({ code: 'context' });
    expect(await hasher.hash(asked.slice(0, 1), signal)).toEqual(hashes.slice(0, HASH_BYTES));
    await pool.close();
  });

  it('fail for a file that changes under the build', async () => {
    write({ one: 'aaaa' });
    const { tree } = build();
    await tree.lookup('one');
    writeFileSync(join(root, 'one'), 'longer than before');
    await expect(tree.digests(['one'])).rejects.toMatchObject({
      code: 'context',
      message: expect.stringContaining(`${root}/one changed`) as string,
    });
    rmSync(join(root, 'one'));
    await expect(tree.digests(['one'])).rejects.toMatchObject({ code: 'context' });
  });

  it('never follow a link that took the place of a file', async () => {
    write({ one: 'aaaa', 'outside.txt': 'bbbb' });
    const { tree } = build();
    await tree.lookup('one');
    rmSync(join(root, 'one'));
    symlinkSync('outside.txt', join(root, 'one'));
    await expect(tree.digests(['one'])).rejects.toMatchObject({ code: 'context' });
  });
});

it('names the file that it may not read', async () => {
  write({ 'open/a': '', 'closed/b': '', locked: 'x' });
  chmodSync(join(root, 'closed'), 0);
  chmodSync(join(root, 'locked'), 0);
  // Root reads everything: a child without its rights asks the same questions.
  const script = `
    import { createFileHasher } from ${JSON.stringify(new URL('./hash-files.ts', import.meta.url).href)};
    import { createThreadPool } from ${JSON.stringify(new URL('./thread-pool.ts', import.meta.url).href)};
    import { createLocalSources } from ${JSON.stringify(new URL('./local.ts', import.meta.url).href)};
    if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
    const store = { readStatCache: async () => undefined, writeStatCache: async () => undefined };
    const local = createLocalSources({ contexts: new Map([['c', { directory: ${JSON.stringify(root)} }]]), store,
      hasher: createFileHasher(createThreadPool()), signal: new AbortController().signal });
    const { files } = local.snapshot('c', process.argv.slice(1));
    const failure = (e) => e.code + ' ' + e.message;
    console.log(await files.digests(['locked']).catch(failure));
    try { for (const _ of await files.walk('')); console.log('walked'); } catch (e) { console.log(failure(e)); }`;
  for (const directory of [parent, root]) chmodSync(directory, 0o755);
  const run = (...excludes: string[]): string[] =>
    execFileSync(process.execPath, ['--input-type=module-typescript', '-e', script, ...excludes], { encoding: 'utf8' })
      .trim()
      .split('\n');
  expect(run()).toEqual([
    `permission ${root}/locked cannot be read: permission denied`,
    `permission ${root}/closed cannot be read: permission denied`,
  ]);
  expect(run('closed')[1]).toBe('walked');
  chmodSync(join(root, 'closed'), 0o700);
});

it.each([
  ['nowhere', 'does not exist'],
  ['file', 'is not a directory'],
])('a context that is %s', (name, message) => {
  writeFileSync(join(root, 'file'), '');
  const local = createLocalSources({
    contexts: new Map([['context', { directory: join(root, name) }]]),
    store: {} as never,
    hasher: createFileHasher(createThreadPool()),
    signal: new AbortController().signal,
  });
  expect(() => local.snapshot('context', [])).toThrow(
    expect.objectContaining({ code: 'context', message: expect.stringContaining(message) as string }),
  );
  expect(() => local.snapshot('other', [])).toThrow(expect.objectContaining({ code: 'context' }));
});
