import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Snapshot } from '../contracts/index.ts';
import { startFront } from '../registry/testing/servers.ts';
import type { TestServer } from '../registry/testing/servers.ts';
import { fileName } from './http.ts';
import { sourceVertex, startBuild } from './testing/build.ts';
import type { TestBuild } from './testing/build.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-http-'));
const open: TestBuild[] = [];
let server: TestServer;
let content: Buffer;
let seen: IncomingHttpHeaders[];
let states = 0;

beforeAll(async () => {
  server = await startFront((request, response) => {
    seen.push(request.headers);
    const headers = { etag: '"v1"', 'last-modified': 'Sat, 03 Feb 2001 04:05:06 GMT' };
    if (request.url === '/moved') response.writeHead(302, { location: '/dir/file.txt' }).end();
    else if (request.url?.startsWith('/gone') === true) response.writeHead(404).end('gone');
    else if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('x', () => response.destroy());
    } else if (request.url === '/bare') response.end(content);
    else if (request.headers['if-none-match'] === '"v1"') response.writeHead(304, headers).end();
    else response.writeHead(200, headers).end(content);
  });
});
beforeEach(() => {
  content = Buffer.from('the content');
  seen = [];
});
afterEach(async () => {
  for (const build of open.splice(0)) await build.close();
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

async function build(state = `state-${states++}`): Promise<TestBuild> {
  const started = await startBuild(join(dir, state));
  open.push(started);
  return started;
}

async function fileOf(snapshot: Snapshot): Promise<[string, unknown, string]> {
  const [first] = await snapshot.files.walk('');
  if (first === undefined) throw new Error('empty');
  const [location] = await snapshot.files.locate([first[0]]);
  return [...first, location?.kind === 'file' ? readFileSync(location.path, 'utf8') : ''];
}

const digest = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );

describe('a URL', () => {
  it('is a snapshot of one file, as ADD wants it', async () => {
    const { sources, context } = await build();
    const snapshot = await sources.snapshot(sourceVertex(`http://${server.host}/dir/file.txt`), context);
    expect(await fileOf(snapshot)).toMatchObject([
      'file.txt',
      { mode: 0o600, uid: 0, gid: 0, mtime: 981173106, size: 11, digest: digest('the content') },
      'the content',
    ]);
  });

  it('takes name, mode and owner from its attributes', async () => {
    const { sources, context } = await build();
    const attrs = {
      'http.filename': 'x',
      'http.perm': '0755',
      'http.uid': '7',
      'http.gid': '8',
      'http.header.accept': 'text/x',
    };
    const snapshot = await sources.snapshot(sourceVertex(`http://${server.host}/bare`, attrs), context);
    expect(await fileOf(snapshot)).toMatchObject(['x', { mode: 0o755, uid: 7, gid: 8, mtime: 0 }, 'the content']);
    expect(seen[0]).toMatchObject({ accept: 'text/x' });
  });

  it('is asked once a build, and only whether it changed in the next', async () => {
    const vertex = sourceVertex(`http://${server.host}/dir/file.txt`);
    const state = `state-${states++}`;
    const first = await build(state);
    const key = await first.sources.sourceKey(vertex, first.context);
    await first.sources.snapshot(vertex, first.context);
    expect(seen).toHaveLength(1);
    first.store.sync();

    const second = await build(state);
    expect(await second.sources.sourceKey(vertex, second.context)).toBe(key);
    expect(seen[1]).toMatchObject({ 'if-none-match': '"v1"' });
    expect((await fileOf(await second.sources.snapshot(vertex, second.context)))[2]).toBe('the content');
  });

  it('is keyed by what it gave', async () => {
    const keyOf = async (attrs: Record<string, string> = {}): Promise<string | undefined> => {
      const { sources, context } = await build();
      return sources.sourceKey(sourceVertex(`http://${server.host}/bare`, attrs), context);
    };
    const key = await keyOf();
    expect(await keyOf()).toBe(key);
    expect(await keyOf({ 'http.perm': '0644' })).not.toBe(key);
    content = Buffer.from('other');
    expect(await keyOf()).not.toBe(key);
  });

  it('with a checksum that is at hand is not asked for at all', async () => {
    const state = `state-${states++}`;
    const vertex = sourceVertex(`http://${server.host}/bare`, { 'http.checksum': digest('the content') });
    const first = await build(state);
    await first.sources.snapshot(vertex, first.context);
    first.store.sync();
    const second = await build(state);
    await second.sources.snapshot(vertex, second.context);
    expect(seen).toHaveLength(1);
  });

  it('follows redirects', async () => {
    const { sources, context } = await build();
    expect(await fileOf(await sources.snapshot(sourceVertex(`http://${server.host}/moved`), context))).toMatchObject([
      'moved',
      {},
      'the content',
    ]);
  });
});

describe('a URL that fails', () => {
  it.each([
    ['/gone?token=hidden', {}, 'source-missing', 'status 404'],
    ['/cut', {}, 'registry', 'broke off'],
    ['/bare', { 'http.checksum': digest('something else') }, 'digest-mismatch', 'not what --checksum says'],
  ])('%s', async (path, attrs, code, message) => {
    const { sources, context } = await build();
    const error = await failure(sources.snapshot(sourceVertex(`http://${server.host}${path}`, attrs), context));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
    expect(JSON.stringify(error)).not.toContain('hidden');
  });

  it('because nobody is there', async () => {
    const { sources, context } = await build();
    const error = await failure(
      sources.snapshot(sourceVertex('http://alice:hidden@127.0.0.1:1/x?token=hidden'), context),
    );
    expect(error).toMatchObject({ code: 'registry', message: expect.stringContaining('connection refused') as string });
    expect((error as Error).message).not.toContain('hidden');
  });
});

describe('file names', () => {
  it.each([
    ['http://x/a/b.txt', undefined, '', 'b.txt'],
    ['http://x/a/b.txt?x=/y', undefined, '', 'b.txt'],
    ['http://x/a%20b', undefined, '', 'a b'],
    ['http://x/a%2Fb', undefined, '', 'b'],
    ['http://x/..%2f..', undefined, '', 'download'],
    ['http://x/', undefined, '', 'download'],
    ['http://x', undefined, '', 'download'],
    ['http://x/a/', undefined, '', 'a'],
    ['http://x/a', 'name', 'attachment; filename=other', 'name'],
    ['http://x/a', '../name', '', 'a'],
    ['http://x/a', undefined, 'attachment; filename=plain.tgz', 'plain.tgz'],
    ['http://x/a', undefined, 'attachment; filename="quo\\"ted; x.tgz"', 'quo"ted; x.tgz'],
    ['http://x/a', undefined, 'attachment; filename="../../etc/passwd"', 'passwd'],
    ['http://x/a', undefined, 'attachment; filename=".."', 'a'],
    ['http://x/a', undefined, 'attachment; filename="dir/"', 'a'],
    ['http://x/a', undefined, 'attachment', 'a'],
  ])('%s asked %j said %j', (url, asked, said, expected) => {
    expect(fileName(url, asked, said)).toBe(expected);
  });
});
