/** Blobs that are sent while they are made: to a real registry, and to ones that fail. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startRegistry } from '../../test/support/registry.ts';
import type { TestRegistry } from '../../test/support/registry.ts';
import { BuildError } from '../contracts/index.ts';
import { openStore } from '../store/index.ts';
import type { FollowedWriter, Store } from '../store/index.ts';
import { createRegistry } from './index.ts';
import type { Limits, Registry } from './index.ts';
import { startFront } from './testing/servers.ts';
import type { TestServer } from './testing/servers.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-growing-push-'));
const limits = { backoff: 1, retries: 3, idle: 500, headers: 500, retryAfter: 50 };
const data = randomBytes(6 * 1024 * 1024);
const digest = `sha256:${createHash('sha256').update(data).digest('hex')}` as const;
let real: TestRegistry;
let store: Store;

beforeAll(async () => {
  real = await startRegistry(join(dir, 'registry'));
  store = await openStore({ root: join(dir, 'store') });
});
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});
afterAll(async () => {
  store.close();
  await real.stop();
  rmSync(dir, { recursive: true });
});

function client(more: Partial<Limits> = {}): Registry {
  const registry = createRegistry({ env: { HOME: dir }, limits: { ...limits, ...more } });
  open.push(registry);
  return registry;
}
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );

/** Writes in pieces, as a packer does. */
async function fill(writer: FollowedWriter, upTo = data.length): Promise<void> {
  for (let at = 0; at < upTo; at += 300_000) {
    await writer.write(data.subarray(at, Math.min(upTo, at + 300_000)));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Pushes to `host` what is being written meanwhile. */
async function push(host: string, registry = client()): Promise<unknown> {
  const writer = await store.createBlob();
  const pushed = failure(registry.pushGrowingBlob(`${host}/x`, writer.follow()));
  await fill(writer);
  await writer.commit();
  return pushed;
}

interface Answers {
  /** After how many bytes of which request the line is cut. */
  readonly cut?: (patches: number) => number | undefined;
  /** Status of the first PATCH. */
  readonly refuses?: number;
  readonly unauthorized?: 'PATCH' | 'PUT';
  /** Answers a PATCH before its end. */
  readonly early?: boolean;
  readonly forgets?: boolean;
  readonly location?: (path: string, host: string) => string;
}

/** A registry that keeps what it got; of its requests the sizes and ranges. */
async function keeping(answers: Answers): Promise<{
  readonly server: TestServer;
  readonly kept: () => Buffer;
  readonly sent: { readonly range: string | undefined; readonly chunked: boolean }[];
}> {
  let kept = Buffer.alloc(0);
  let patches = 0;
  let challenged = false;
  const sent: { range: string | undefined; chunked: boolean }[] = [];
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const path = '/v2/x/blobs/uploads/1';
    const location = answers.location?.(path, server.host) ?? path;
    if (request.method === answers.unauthorized && !challenged) {
      challenged = true;
      request.resume();
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return;
    }
    switch (request.method) {
      case 'POST':
        kept = Buffer.alloc(0);
        response.writeHead(202, { location }).end();
        return;
      case 'GET':
        if (answers.forgets === true) response.writeHead(404).end();
        else response.writeHead(204, { location, range: `0-${Math.max(0, kept.length - 1)}` }).end();
        return;
      case 'DELETE':
        kept = Buffer.alloc(0);
        response.writeHead(204).end();
        return;
      case 'PATCH': {
        const number = patches++;
        const range = request.headers['content-range'];
        sent.push({ range, chunked: request.headers['transfer-encoding'] === 'chunked' });
        if (answers.refuses !== undefined) {
          request.resume();
          response.writeHead(answers.refuses).end();
          return;
        }
        const start = kept.length;
        if (range !== undefined && Number(range.split('-')[0]) !== start) {
          response.writeHead(416).end();
          return;
        }
        const stop = answers.cut?.(number);
        request.on('data', (part: Buffer) => {
          const room = stop === undefined ? part.length : Math.max(0, start + stop - kept.length);
          kept = Buffer.concat([kept, part.subarray(0, room)]);
          if (room < part.length) request.socket.destroy();
          else if (answers.early === true && number === 0 && !response.headersSent)
            response.writeHead(202, { location }).end();
        });
        request.on('end', () => response.headersSent || response.writeHead(202, { location }).end());
        return;
      }
      default:
        request.on('data', (part: Buffer) => (kept = Buffer.concat([kept, part])));
        request.on('end', () => {
          const got = `sha256:${createHash('sha256').update(kept).digest('hex')}`;
          const wanted = new URL(request.url ?? '', 'http://x').searchParams.get('digest');
          response.writeHead(got === wanted ? 201 : 400).end();
        });
    }
  };
  const server: TestServer = await startFront(handler);
  open.push(server);
  return { server, kept: () => kept, sent };
}

const methods = ({ requests }: TestServer): readonly string[] => requests.map((line) => line.split(' ')[0] ?? '');

describe('a blob that is sent while it is made', () => {
  it('is in a real registry when it is whole', async () => {
    const registry = client();
    expect(await push(real.host, registry)).toBe('no error');
    const parts: Uint8Array[] = [];
    for await (const part of registry.fetchBlob(`${real.host}/x`, { digest, size: data.length })) parts.push(part);
    expect(Buffer.concat(parts).equals(data)).toBe(true);
  });

  it('goes in one request of unknown length', async () => {
    const { server, kept, sent } = await keeping({});
    expect(await push(server.host)).toBe('no error');
    expect(kept().equals(data)).toBe(true);
    expect(methods(server)).toEqual(['POST', 'PATCH', 'PUT']);
    expect(sent).toEqual([{ range: undefined, chunked: true }]);
  });

  it('is on its way before it is whole', async () => {
    const { server, kept } = await keeping({});
    const writer = await store.createBlob();
    const pushed = client().pushGrowingBlob(`${server.host}/x`, writer.follow());
    await fill(writer, 1_500_000);
    await expect.poll(() => kept().length).toBe(1_500_000);
    await writer.write(data.subarray(1_500_000));
    await writer.commit();
    await pushed;
    expect(kept().equals(data)).toBe(true);
  });

  it('does not wait for a line that takes nothing: the writer goes on', async () => {
    let answer: (() => void) | undefined;
    const server = await startFront((request, response) => {
      if (request.method === 'POST') response.writeHead(202, { location: '/v2/x/blobs/uploads/1' }).end();
      else if (request.method === 'PATCH') {
        answer = () => {
          request.resume();
          request.on('end', () => response.writeHead(202, { location: '/v2/x/blobs/uploads/1' }).end());
        };
      } else response.writeHead(201).end();
    });
    open.push(server);
    const writer = await store.createBlob();
    const pushed = client({ idle: 60_000 }).pushGrowingBlob(`${server.host}/x`, writer.follow());
    for (let i = 0; i < 6; i++) await fill(writer);
    await writer.commit();
    await expect.poll(() => answer !== undefined).toBe(true);
    answer?.();
    await pushed;
  });

  it.each([
    ['a path', (path: string) => path],
    ['a path below the one asked', (path: string) => path.slice(path.lastIndexOf('/') + 1)],
    ['a whole URL with a query', (path: string, host: string) => `http://${host}${path}?state=a%2Fb`],
  ])('follows %s', async (_, location) => {
    const { server, kept } = await keeping({ location });
    expect(await push(server.host)).toBe('no error');
    expect(kept().equals(data)).toBe(true);
    const last = server.requests.at(-1) ?? '';
    expect(last).toContain(`digest=${encodeURIComponent(digest)}`);
  });
});

describe('a line that is cut', () => {
  it('goes on where it was, and sends nothing twice', async () => {
    const { server, kept, sent } = await keeping({ cut: (patch) => [1_000_000, 2_500_000][patch] });
    expect(await push(server.host)).toBe('no error');
    expect(kept().equals(data)).toBe(true);
    expect(sent.map(({ range }) => range)).toEqual([
      undefined,
      `1000000-${data.length - 1}`,
      `3500000-${data.length - 1}`,
    ]);
    expect(methods(server).filter((method) => method === 'POST')).toHaveLength(1);
  });

  it('begins anew when the registry has forgotten it', async () => {
    const { server, kept } = await keeping({ cut: (patch) => [1_000_000][patch], forgets: true });
    expect(await push(server.host)).toBe('no error');
    expect(kept().equals(data)).toBe(true);
    expect(methods(server).filter((method) => method === 'POST')).toHaveLength(2);
  });

  it('gives up when nothing gets through', async () => {
    const { server } = await keeping({ cut: () => 0 });
    expect(await push(server.host)).toMatchObject({ code: 'registry' });
  });
});

describe('a registry', () => {
  it.each([400, 405, 411, 413, 501])('that answers %s to chunks: the upload is dropped', async (refuses) => {
    const { server } = await keeping({ refuses });
    expect(await push(server.host)).toBeInstanceOf(BuildError);
    expect(methods(server)).toEqual(['POST', 'PATCH', 'DELETE']);
  });

  it('that has taken less than it said is asked how much', async () => {
    const { server, kept } = await keeping({ early: true });
    expect(await push(server.host)).toBe('no error');
    expect(kept().equals(data)).toBe(true);
  });

  it.each(['PATCH', 'PUT'] as const)('that wants a login at the %s gets it', async (unauthorized) => {
    const { server, kept } = await keeping({ unauthorized });
    mkdirSync(join(dir, '.docker'), { recursive: true });
    const auths = { [server.host]: { auth: Buffer.from('a:b').toString('base64') } };
    writeFileSync(join(dir, '.docker', 'config.json'), JSON.stringify({ auths }));
    expect(await push(server.host)).toBe('no error');
    expect(kept().equals(data)).toBe(true);
  });

  it.each(['file:///tmp/x', 'http://[bad'])('that leads to %s gets nothing', async (location) => {
    const { server } = await keeping({ location: () => location });
    expect(await push(server.host)).toMatchObject({ code: 'hostile' });
    expect(methods(server)).toEqual(['POST']);
  });
});

describe('what comes to nothing', () => {
  it('is dropped when the blob is given up', async () => {
    const { server, kept } = await keeping({});
    const writer = await store.createBlob();
    const pushed = failure(client().pushGrowingBlob(`${server.host}/x`, writer.follow()));
    await fill(writer, 1_000_000);
    await expect.poll(() => kept().length).toBe(1_000_000);
    await writer.abort();
    expect(await pushed).toBeInstanceOf(BuildError);
    expect(methods(server)).toEqual(['POST', 'PATCH', 'DELETE']);
  });

  it('is dropped when it is cancelled, though the writer goes on', async () => {
    const { server, kept } = await keeping({});
    const writer = await store.createBlob();
    const stop = new AbortController();
    const pushed = failure(client().pushGrowingBlob(`${server.host}/x`, writer.follow(), { signal: stop.signal }));
    await fill(writer, 1_000_000);
    await expect.poll(() => kept().length).toBe(1_000_000);
    stop.abort();
    expect(await pushed).toMatchObject({ code: 'cancelled' });
    expect(methods(server)).toEqual(['POST', 'PATCH', 'DELETE']);
    await writer.abort();
  });

  it.each(['cancelled', 'given up'])('leaves nothing in a real registry when it is %s', async (how) => {
    const uploads = join(dir, 'registry/data/docker/registry/v2/repositories/dropped/_uploads');
    const writer = await store.createBlob();
    const stop = new AbortController();
    const registry = client();
    const pushed = failure(registry.pushGrowingBlob(`${real.host}/dropped`, writer.follow(), { signal: stop.signal }));
    await fill(writer, 5_500_000);
    const isTaken = (): boolean => filesIn(uploads).some((path) => path.endsWith('/data') && statSync(path).size > 0);
    await expect.poll(isTaken, { timeout: 5000 }).toBe(true);
    if (how === 'cancelled') stop.abort();
    else await writer.abort();
    expect(await pushed).toBeInstanceOf(BuildError);
    // What it knew of the hash it forgets to remove.
    expect(filesIn(uploads).filter((path) => !path.includes('/hashstates/'))).toEqual([]);
    await writer.abort();
  });
});

function filesIn(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  const all = readdirSync(path, { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
