/** Registries and lines that fail: cuts, busy answers, damaged bytes, silence. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { openStore } from '../store/index.ts';
import { createRegistry, parseMirrors } from './index.ts';
import type { Registry, RegistryOptions } from './index.ts';
import { parseRetryAfter } from './retry.ts';
import { startFront } from './testing/servers.ts';
import type { Handler, TestServer } from './testing/servers.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-faults-'));
const limits = { backoff: 1, retries: 4, idle: 200, headers: 200, retryAfter: 50 };
const data = randomBytes(500_000);
const blob = { digest: `sha256:${createHash('sha256').update(data).digest('hex')}`, size: data.length } as const;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});
afterAll(() => rmSync(dir, { recursive: true }));

async function front(handler: Handler): Promise<TestServer> {
  const server = await startFront(handler);
  open.push(server);
  return server;
}
function client(options: RegistryOptions = {}): Registry {
  const registry = createRegistry({ env: { HOME: dir }, limits, ...options });
  open.push(registry);
  return registry;
}
async function read(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );

/** Sends from where the request's range begins, as far as `upTo`, then cuts the line unless that is the end. */
function sendPart(response: ServerResponse, range: string | undefined, upTo: number, ranges = true): void {
  const start = ranges ? Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0) : 0;
  const headers = { 'content-length': data.length - start };
  const partial = { ...headers, 'content-range': `bytes ${start}-${data.length - 1}/${data.length}` };
  response.writeHead(start > 0 ? 206 : 200, start > 0 ? partial : headers);
  response.write(data.subarray(start, upTo), () => {
    if (upTo >= data.length) response.end();
    else setTimeout(() => response.destroy(), 5);
  });
}

describe('a cut download', () => {
  it('goes on where it was cut', async () => {
    let asked = 0;
    const ranges: (string | undefined)[] = [];
    const server = await front((request, response) => {
      ranges.push(request.headers.range);
      sendPart(response, request.headers.range, [100_000, 100_001, 300_000][asked++] ?? data.length);
    });
    expect(await read(client().fetchBlob(`${server.host}/x`, blob))).toEqual(data);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=\d+-$/.test(range ?? ''))).toBe(true);
    expect(asked).toBe(4);
  });

  it('skips what it has when the server knows no ranges', async () => {
    let asked = 0;
    const server = await front((request, response) => {
      sendPart(response, request.headers.range, asked++ === 0 ? 200_000 : data.length, false);
    });
    expect(await read(client().fetchBlob(`${server.host}/x`, blob))).toEqual(data);
    expect(asked).toBe(2);
  });

  it('goes on at the registry when a mirror dies in the middle', async () => {
    const mirror = await front((request, response) => sendPart(response, request.headers.range, 250_000));
    const server = await front((request, response) => sendPart(response, request.headers.range, data.length));
    const registry = client({ mirrors: parseMirrors(`${server.host}=${mirror.host}`) });
    expect(await read(registry.fetchBlob(`${server.host}/x`, blob))).toEqual(data);
    expect(server.requests).toHaveLength(1);
  });

  it('gives up after so many tries without a byte', async () => {
    const server = await front((_, response) => response.destroy());
    expect(await failure(read(client().fetchBlob(`${server.host}/x`, blob)))).toMatchObject({
      code: 'registry',
      message: expect.stringContaining('the connection was cut') as string,
    });
  });

  it('does not wait for a body that stops', async () => {
    const server = await front((_, response) => {
      response.writeHead(200, { 'content-length': data.length });
      response.write(data.subarray(0, 1000));
    });
    const registry = client({ limits: { ...limits, retries: 1 } });
    expect(await failure(read(registry.fetchBlob(`${server.host}/x`, blob)))).toMatchObject({
      code: 'registry',
      message: expect.stringContaining('stopped in the middle') as string,
    });
  });

  it('does not take crumbs for ever', async () => {
    const timers: NodeJS.Timeout[] = [];
    const server = await front((request, response) => {
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(start > 0 ? 206 : 200, {
        'content-length': data.length - start,
        ...(start > 0 ? { 'content-range': `bytes ${start}-${data.length - 1}/${data.length}` } : {}),
      });
      timers.push(setInterval(() => response.write('x'), 20));
    });
    const registry = client({ limits: { ...limits, retries: 2 } });
    expect(await failure(read(registry.fetchBlob(`${server.host}/x`, blob)))).toMatchObject({
      code: 'registry',
      message: expect.stringContaining('came too slowly') as string,
    });
    expect(server.requests).toHaveLength(3);
    for (const timer of timers) clearInterval(timer);
  });

  it('does not wait for an answer that never comes', async () => {
    const server = await front(() => undefined);
    const registry = client({ limits: { ...limits, retries: 0 } });
    expect(await failure(registry.resolve(`${server.host}/x`, 'a'))).toMatchObject({
      code: 'registry',
      message: expect.stringContaining('no answer in time') as string,
    });
  });
});

describe('a busy registry', () => {
  it.each([429, 500, 502, 503, 504])('is asked again after %d', async (status) => {
    let asked = 0;
    const server = await front((request, response) => {
      if (asked++ < 2) response.writeHead(status, { 'retry-after': '0' }).end('busy');
      else sendPart(response, request.headers.range, data.length);
    });
    expect(await read(client().fetchBlob(`${server.host}/x`, blob))).toEqual(data);
    expect(asked).toBe(3);
  });

  it('is left alone in the end, with what it said', async () => {
    const server = await front((_, response) => {
      response.writeHead(503).end(JSON.stringify({ errors: [{ code: 'UNAVAILABLE', message: 'come back later' }] }));
    });
    expect(await failure(client().resolve(`${server.host}/x`, 'a'))).toMatchObject({ code: 'registry' });
    expect(await failure(client().fetchManifest(`${server.host}/x`, 'a'))).toMatchObject({
      code: 'registry',
      message: `${server.host} answered status 503 for ${server.host}/x:a`,
      detail: [`${server.host}: UNAVAILABLE: come back later`],
    });
    expect(server.requests).toHaveLength(2 * (limits.retries + 1));
  });

  it.each([400, 404, 405, 501])('is not asked again after %d', async (status) => {
    const server = await front((_, response) => response.writeHead(status).end());
    await failure(client().fetchManifest(`${server.host}/x`, 'a'));
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 1970 00:01:40 GMT', 100_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
  ])('Retry-After %j', (value, expected) => {
    const now = value.startsWith('Thu') && expected === 0 ? 5_000 : 0;
    const parsed = value === '-5' ? undefined : parseRetryAfter(value, now);
    expect(parsed).toBe(expected);
  });
});

describe('an upload', () => {
  it('starts anew when it is cut', async () => {
    let puts = 0;
    const got: number[] = [];
    const server = await front((request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else if (request.method === 'POST') response.writeHead(202, { location: `/v2/x/blobs/uploads/${puts}` }).end();
      else if (puts++ === 0) request.once('data', () => request.socket.destroy());
      else {
        let size = 0;
        request.on('data', (part: Buffer) => (size += part.length));
        request.on('end', () => {
          got.push(size);
          response.writeHead(201).end();
        });
      }
    });
    const source = {
      ...blob,
      async *open() {
        for (let at = 0; at < data.length; at += 50_000) yield data.subarray(at, at + 50_000);
      },
    };
    expect(await client().pushBlob(`${server.host}/x`, source)).toBe('pushed');
    expect(got).toEqual([data.length]);
    expect(server.requests.at(-1)).toBe(`PUT /v2/x/blobs/uploads/1?digest=${encodeURIComponent(blob.digest)}`);
  });
});

describe('an upload that is not taken', () => {
  it('fails, and is tried again', async () => {
    const server = await front((request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else if (request.method === 'POST') response.writeHead(202, { location: '/v2/x/blobs/uploads/1' }).end();
      // And nothing is read.
    });
    const chunk = Buffer.alloc(1 << 20);
    const source = {
      ...blob,
      size: 32 << 20,
      async *open() {
        for (let i = 0; i < 32; i++) yield chunk;
      },
    };
    const registry = client({ limits: { ...limits, retries: 1 } });
    expect(await failure(registry.pushBlob(`${server.host}/x`, source))).toMatchObject({
      code: 'registry',
      message: expect.stringContaining('it took no more of the upload') as string,
    });
    expect(server.requests.filter((line) => line.startsWith('PATCH')).length).toBeGreaterThan(1);
  });
});

describe('a registry that knows no mounts', () => {
  it.each([
    ['opens an upload instead', 202],
    ['does not know the request', 405],
    ['refuses the other repository', 403],
    ['fails', 404],
  ])('%s: the bytes are sent', async (_, status) => {
    const server = await front((request, response) => {
      const isMount = request.url?.includes('mount=') === true;
      if (request.method === 'HEAD') response.writeHead(404).end();
      else if (request.method === 'POST') {
        response.writeHead(isMount ? status : 202, { location: '/v2/x/blobs/uploads/1' }).end();
      } else {
        request.resume();
        request.on('end', () => response.writeHead(201).end());
      }
    });
    const source = {
      ...blob,
      async *open() {
        yield data;
      },
    };
    const mountFrom = [`${server.host}/other`];
    expect(await client().pushBlob(`${server.host}/x`, source, { mountFrom })).toBe('pushed');
    expect(server.requests.filter((line) => line.startsWith('PUT'))).toHaveLength(1);
  });
});

describe('a large upload', () => {
  const large = randomBytes(6 * 1024 * 1024);
  const source = {
    digest: `sha256:${createHash('sha256').update(large).digest('hex')}`,
    size: large.length,
    async *open() {
      for (let at = 0; at < large.length; at += 65_536) yield large.subarray(at, at + 65_536);
    },
  } as const;

  /** A registry that keeps what it got of a chunk; `cut` says after how many bytes of which request the line is cut. */
  async function keeping(answers: {
    readonly cut?: (patches: number) => number | undefined;
    readonly forgets?: boolean;
    readonly unauthorized?: number;
    readonly claims?: (kept: number) => string;
  }): Promise<{ readonly server: TestServer; readonly kept: () => Buffer; readonly ranges: (string | undefined)[] }> {
    let kept = Buffer.alloc(0);
    let patches = 0;
    let session = 0;
    const ranges: (string | undefined)[] = [];
    const server = await front((request, response) => {
      const location = `/v2/x/blobs/uploads/${session}`;
      switch (request.method) {
        case 'HEAD':
          response.writeHead(404).end();
          return;
        case 'POST':
          kept = Buffer.alloc(0);
          response.writeHead(202, { location: `/v2/x/blobs/uploads/${++session}` }).end();
          return;
        case 'GET':
          if (answers.forgets === true) response.writeHead(404).end();
          else {
            const range = answers.claims?.(kept.length) ?? `0-${Math.max(0, kept.length - 1)}`;
            response.writeHead(204, { location, range }).end();
          }
          return;
        case 'PATCH': {
          const number = patches++;
          ranges.push(request.headers['content-range']);
          if (number === answers.unauthorized) {
            request.resume();
            response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
            return;
          }
          const start = Number(/^(\d+)-/.exec(request.headers['content-range'] ?? '0-')?.[1]);
          if (start !== kept.length) {
            request.resume();
            response.writeHead(416).end();
            return;
          }
          const stop = answers.cut?.(number);
          request.on('data', (part: Buffer) => {
            const room = stop === undefined ? part.length : Math.max(0, start + stop - kept.length);
            kept = Buffer.concat([kept, part.subarray(0, room)]);
            if (room < part.length) request.socket.destroy();
          });
          request.on('end', () => response.writeHead(202, { location }).end());
          return;
        }
        default:
          request.resume();
          request.on('end', () => response.writeHead(201).end());
      }
    });
    return { server, kept: () => kept, ranges };
  }

  it('goes on where it was cut, and sends nothing twice', async () => {
    const { server, kept, ranges } = await keeping({ cut: (patch) => [1_000_000, 2_500_000][patch] });
    expect(await client().pushBlob(`${server.host}/x`, source)).toBe('pushed');
    expect(kept().equals(large)).toBe(true);
    expect(ranges).toEqual([undefined, `1000000-${large.length - 1}`, `3500000-${large.length - 1}`]);
    expect(server.requests.filter((line) => line.startsWith('POST'))).toHaveLength(1);
  });

  it('starts anew when the registry has forgotten it', async () => {
    const { server, kept } = await keeping({ cut: (patch) => [1_000_000][patch], forgets: true });
    expect(await client().pushBlob(`${server.host}/x`, source)).toBe('pushed');
    expect(kept().equals(large)).toBe(true);
    expect(server.requests.filter((line) => line.startsWith('POST'))).toHaveLength(2);
  });

  it('asks again when the registry has not what it said', async () => {
    let asked = 0;
    const claims = (size: number): string => `0-${asked++ === 0 ? size - 10 : size - 1}`;
    const { server, kept } = await keeping({ cut: (patch) => [1_000_000][patch], claims });
    expect(await client().pushBlob(`${server.host}/x`, source)).toBe('pushed');
    expect(kept().equals(large)).toBe(true);
  });

  it('gives up when nothing gets through', async () => {
    const { server } = await keeping({ cut: () => 0 });
    expect(await failure(client().pushBlob(`${server.host}/x`, source))).toMatchObject({
      code: 'registry',
      message: expect.stringContaining('the connection was cut') as string,
    });
  });

  it('logs in again in the middle', async () => {
    mkdirSync(join(dir, '.docker'), { recursive: true });
    const { server, kept } = await keeping({ cut: (patch) => [1_000_000][patch], unauthorized: 1 });
    const auths = { [server.host]: { auth: Buffer.from('a:b').toString('base64') } };
    writeFileSync(join(dir, '.docker', 'config.json'), JSON.stringify({ auths }));
    expect(await client().pushBlob(`${server.host}/x`, source)).toBe('pushed');
    expect(kept().equals(large)).toBe(true);
  });
});

describe('wrong bytes', () => {
  const other = Buffer.from(data);
  other[1000] = (other[1000] ?? 0) ^ 1;
  const table: readonly (readonly [string, Buffer])[] = [
    ['changed', other],
    ['too few', data.subarray(0, 1000)],
    ['too many', Buffer.concat([data, Buffer.from('x')])],
  ];

  it.each(table)('%s', async (_, body) => {
    const server = await front((__, response) => response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(body));
    const registry = client({ limits: { ...limits, retries: 1 } });
    expect(await failure(read(registry.fetchBlob(`${server.host}/x`, blob)))).toMatchObject({
      code: expect.stringMatching(/^(digest-mismatch|registry)$/) as string,
    });
  });

  it.each(table.slice(1))('%s, and said so', async (_, body) => {
    const server = await front((__, response) => response.writeHead(200, { 'content-length': body.length }).end(body));
    expect(await failure(read(client().fetchBlob(`${server.host}/x`, blob)))).toMatchObject({
      code: 'digest-mismatch',
    });
    expect(server.requests).toHaveLength(1);
  });

  it('from a mirror are fetched from the registry', async () => {
    const mirror = await front((_, response) => response.end(other));
    const server = await front((_, response) => response.end(data));
    const store = await openStore({ root: join(dir, 'store') });
    const registry = client({ mirrors: parseMirrors(`${server.host}=${mirror.host}`) });
    await registry.pullBlob([`${server.host}/x`], blob, store);
    expect(Buffer.from(await store.readBlob(blob.digest)).equals(data)).toBe(true);
    store.close();
  });

  it('never reach the store', async () => {
    const server = await front((_, response) => response.end(other));
    const store = await openStore({ root: join(dir, 'store-2') });
    expect(await failure(client().pullBlob([`${server.host}/x`], blob, store))).toMatchObject({
      code: 'digest-mismatch',
      message: expect.stringContaining(server.host) as string,
    });
    expect(store.hasBlob(blob.digest)).toBe(false);
    store.close();
  });
});
