import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from './retry.ts';
import { listen, startFront } from './testing/servers.ts';
import type { TestServer } from './testing/servers.ts';
import { createTransport, readBody } from './transport.ts';
import type { Transport, WireRequest } from './transport.ts';
import { proxyFor } from './proxy.ts';
import { setTimeout as delay } from 'node:timers/promises';

let target: TestServer;
let proxy: string;
const asked: string[] = [];
/** Whatever host is asked for, the target answers. */
const server = createServer((request, response) => {
  asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
  response.end('by request');
});
server.on('connect', (request, socket) => {
  asked.push(`CONNECT ${request.url ?? ''}`);
  const [hostname, port] = target.host.split(':');
  const inner = connect(Number(port), hostname, () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    inner.pipe(socket).pipe(inner);
  });
  socket.on('error', () => inner.destroy());
});

beforeAll(async () => {
  target = await startFront((_, response) => response.end('by tunnel'));
  proxy = await listen(server);
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await target.close();
});

async function get(url: string, env: Record<string, string>): Promise<string> {
  const transport = createTransport(env, { ...DEFAULT_LIMITS, connect: 500 });
  try {
    const response = await transport.send({ method: 'GET', url, headers: {}, verifyTls: true, signal: undefined });
    return Buffer.from((await readBody(response, 1000)) ?? '').toString();
  } finally {
    await transport.close();
  }
}

it('goes through HTTP_PROXY, lower case first', async () => {
  asked.length = 0;
  expect(await get('http://registry.invalid/v2/', { HTTP_PROXY: `http://${proxy}` })).toMatch(/^by /);
  expect(await get('http://registry.invalid/v2/', { http_proxy: proxy, HTTP_PROXY: 'http://127.0.0.1:1' })).toMatch(
    /^by /,
  );
  expect(asked).toHaveLength(2);
  expect(asked.every((line) => line.includes('registry.invalid'))).toBe(true);
});

it('goes around it for NO_PROXY, for loopback, and for the other scheme', async () => {
  asked.length = 0;
  const env = { HTTP_PROXY: `http://${proxy}`, NO_PROXY: 'other.example,.invalid' };
  await expect(get('http://registry.invalid/v2/', env)).rejects.toThrow();
  await expect(get('https://registry.invalid/v2/', { HTTP_PROXY: `http://${proxy}` })).rejects.toThrow();
  expect(await get(`http://${target.host}/`, env)).toBe('by tunnel');
  expect(asked).toEqual([]);
});

it.each([
  ['*', undefined],
  ['example.com', undefined],
  ['other.com example.com', undefined],
  ['.example.com', undefined],
  ['*.example.com', undefined],
  ['r.example.com:443', undefined],
  ['example.com:8443', 'http://proxy.corp:3128/'],
  ['ample.com', 'http://proxy.corp:3128/'],
  ['.r.example.com', 'http://proxy.corp:3128/'],
  ['', 'http://proxy.corp:3128/'],
])('NO_PROXY=%s', (NO_PROXY, expected) => {
  const env = { https_proxy: 'proxy.corp:3128', NO_PROXY };
  expect(proxyFor(new URL('https://r.example.com/v2/'), env)?.href).toBe(expected);
});

it.each([
  ['[2001:db8::1]:5000', true],
  ['2001:db8::1', true],
  ['[2001:db8::1]', true],
  ['[2001:db8::1]:443', false],
])('NO_PROXY=%s for an address', (NO_PROXY, isExcepted) => {
  const url = new URL('https://[2001:db8::1]:5000/v2/');
  expect(proxyFor(url, { HTTPS_PROXY: 'http://proxy.corp', NO_PROXY }) === undefined).toBe(isExcepted);
});

it.each([
  ['http_proxy', ':::', 'http_proxy is not the URL of a proxy'],
  ['HTTP_PROXY', 'http://proxy:nonsense', 'HTTP_PROXY is not the URL of a proxy'],
  ['HTTP_PROXY', 'socks5://me:secret@proxy:1080', 'HTTP_PROXY names a proxy of another kind'],
])('%s=%s is told by its name, without its password', async (name, value, message) => {
  const refused = get('http://registry.invalid/v2/', { [name]: value });
  await expect(refused).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(message) as string });
  await expect(refused).rejects.not.toThrow('secret');
});

describe('a proxy', () => {
  it('is told who asks, and what it answers is an error', async () => {
    const seen: (string | undefined)[] = [];
    const refusing = createServer((request, response) => {
      seen.push(request.headers['proxy-authorization']);
      response.writeHead(407).end();
    });
    refusing.on('connect', (request, socket) => {
      seen.push(request.headers['proxy-authorization'], request.url);
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    const env = { https_proxy: `http://me:p%40ss@${await listen(refusing)}` };
    await expect(get('https://registry.invalid/v2/', env)).rejects.toThrow(/proxy .* answered status 403/);
    await get('http://registry.invalid/v2/', { http_proxy: env.https_proxy });
    const account = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
    expect(seen).toEqual([account, 'registry.invalid:443', account]);
    refusing.close();
    refusing.closeAllConnections();
  });
});

describe('what an answer can do', () => {
  let transport: Transport;
  let server2: TestServer;
  afterEach(async () => {
    await transport.close();
    await server2.close();
  });
  const open = async (handler: Parameters<typeof startFront>[0]): Promise<void> => {
    transport = createTransport({}, { ...DEFAULT_LIMITS, connect: 200 });
    server2 = await startFront(handler);
  };
  const send = (request: Partial<WireRequest> = {}): ReturnType<Transport['send']> =>
    transport.send({
      method: 'GET',
      url: `http://${server2.host}/`,
      headers: {},
      verifyTls: true,
      signal: undefined,
      ...request,
    });

  it('be cut before anybody reads it', async () => {
    await open((_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('x', () => response.destroy());
    });
    const answer = await send();
    await delay(50);
    await expect(readBody(answer, 5000)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ECONNRESET|ERR_STREAM_PREMATURE_CLOSE)$/) as string,
    });
  });

  it('refuse an upload in its middle', async () => {
    await open((_, response) => response.writeHead(413).end('too large'));
    let sent = 0;
    const body = {
      size: 64 << 20,
      async *open() {
        for (; sent < 64; sent++) yield Buffer.alloc(1 << 20);
      },
    };
    const answer = await send({ method: 'PUT', body });
    expect(answer.status).toBe(413);
    expect(Buffer.from((await readBody(answer, 100)) ?? '').toString()).toBe('too large');
    expect(sent).toBeLessThan(64);
  });

  it('not hide that a body was shorter than said, or failed', async () => {
    await open((request, response) => request.resume().on('end', () => response.end()));
    async function* short(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
    }
    await expect(send({ method: 'PUT', body: { size: 2, open: short } })).rejects.toThrow('1 bytes came to be sent');
    async function* failing(): AsyncGenerator<Uint8Array> {
      throw new RangeError('no such file');
    }
    await expect(send({ method: 'PUT', body: { size: 2, open: failing } })).rejects.toThrow('no such file');
  });

  it('use a connection again, also after a HEAD and a dropped body', async () => {
    const ports = new Set<number | undefined>();
    await open((request, response) => {
      ports.add(request.socket.remotePort);
      response.writeHead(200, { 'content-length': 10_000 }).end(request.method === 'HEAD' ? '' : 'x'.repeat(10_000));
    });
    for (const method of ['GET', 'HEAD', 'GET'] as const) await (await send({ method })).drain();
    expect(await readBody(await send({ method: 'PUT', body: Buffer.from('y') }), 20_000)).toHaveLength(10_000);
    await (await send()).drain();
    expect(ports.size).toBe(1);
  });

  it('be stopped by the one who asked, with their reason', async () => {
    await open((_, response) => void response.writeHead(200).write('x'));
    const controller = new AbortController();
    const answer = await send({ signal: controller.signal });
    const reading = readBody(answer, 100);
    controller.abort(new RangeError('enough'));
    await expect(reading).rejects.toThrow('enough');
    await expect(send({ signal: controller.signal })).rejects.toThrow('enough');
  });

  it('be waited for in vain: a connection that comes to nothing', async () => {
    await open(() => undefined);
    const silent = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    await expect(send({ url: `https://127.0.0.1:${port}/` })).rejects.toMatchObject({ code: 'ERR_NO_CONNECTION' });
    silent.close();
  });
});
