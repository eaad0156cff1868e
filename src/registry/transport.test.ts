import { createServer } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from './retry.ts';
import { listen, startFront } from './testing/servers.ts';
import type { TestServer } from './testing/servers.ts';
import { createTransport, readBody } from './transport.ts';

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
