import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createProxy } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { connect } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistry } from './index.ts';
import { DEFAULT_LIMITS } from './retry.ts';
import { listen } from './testing/servers.ts';
import { createTransport } from './transport.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-tls-'));
let server: Server;
let host: string;
const asked: string[] = [];
/** Names in client certificates. */
const shown: (string | undefined)[] = [];

beforeAll(async () => {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=slipway', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', [...make, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  server = createServer(
    { key: readFileSync(key), cert: readFileSync(cert), requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.writeHead(404).end();
    },
  );
  server.on('secureConnection', (socket: TLSSocket) => {
    const peer = socket.getPeerCertificate() as { subject?: { CN?: string } };
    shown.push(peer.subject?.CN);
  });
  host = await listen(server);
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
  rmSync(dir, { recursive: true });
});

it('a registry on loopback may speak https, with whatever certificate', async () => {
  const registry = createRegistry({ env: { HOME: dir }, limits: { backoff: 1, retries: 1 } });
  for (const tag of ['a', 'b']) {
    await expect(registry.resolve(`${host}/x`, tag)).rejects.toMatchObject({ code: 'image-not-found' });
  }
  expect(asked).toEqual(['HEAD /v2/x/manifests/a', 'HEAD /v2/x/manifests/b']);
  await registry.close();
});

it('a certificate that nobody vouches for is refused where it counts', async () => {
  const transport = createTransport({}, DEFAULT_LIMITS);
  const request = { method: 'GET', url: `https://${host}/`, headers: {}, signal: undefined } as const;
  await expect(transport.send({ ...request, verifyTls: true })).rejects.toMatchObject({
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
  expect(await transport.send({ ...request, verifyTls: false })).toMatchObject({ status: 404 });
  await transport.close();
});

it('and the error says what to do', async () => {
  const { failureError } = await import('./errors.ts');
  const cause = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  expect(failureError('x:latest', 'registry.example', cause)).toMatchObject({
    code: 'registry',
    message: expect.stringContaining('certificate is not trusted') as string,
    hint: expect.stringContaining('NODE_EXTRA_CA_CERTS') as string,
  });
});

it('an authority in certs.d is trusted for its host, and a client certificate shown to it', async () => {
  const home = join(dir, 'home');
  const certs = join(home, '.config/docker/certs.d', host);
  mkdirSync(certs, { recursive: true });
  copyFileSync(join(dir, 'cert.pem'), join(certs, 'ca.crt'));
  copyFileSync(join(dir, 'cert.pem'), join(certs, 'me.cert'));
  const transport = createTransport({ HOME: home }, DEFAULT_LIMITS);
  const request = { method: 'GET', url: `https://${host}/`, headers: {}, signal: undefined, verifyTls: true } as const;
  await expect(transport.send(request)).rejects.toMatchObject({
    code: 'registry',
    hint: expect.stringContaining('me.key') as string,
  });
  await transport.close();

  copyFileSync(join(dir, 'key.pem'), join(certs, 'me.key'));
  const again = createTransport({ HOME: home }, DEFAULT_LIMITS);
  expect(await again.send(request)).toMatchObject({ status: 404 });
  expect(shown.at(-1)).toBe('slipway');
  await again.close();
});

it('is what goes through a proxy', async () => {
  const proxied: (string | undefined)[] = [];
  const proxy = createProxy();
  proxy.on('connect', (request, socket) => {
    proxied.push(request.url);
    const [, port] = host.split(':');
    const inner = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      inner.pipe(socket).pipe(inner);
    });
    socket.on('error', () => inner.destroy());
  });
  const transport = createTransport({ https_proxy: await listen(proxy) }, DEFAULT_LIMITS);
  const request = { method: 'GET', url: 'https://registry.invalid:8443/', headers: {}, signal: undefined } as const;
  expect(await transport.send({ ...request, verifyTls: false })).toMatchObject({ status: 404 });
  await expect(transport.send({ ...request, verifyTls: true })).rejects.toMatchObject({
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
  expect(proxied).toEqual(['registry.invalid:8443', 'registry.invalid:8443']);
  await transport.close();
  proxy.close();
  proxy.closeAllConnections();
});

it('is what a proxy named with https speaks, for registries of both kinds, as itself', async () => {
  const proxied: string[] = [];
  const proxy = createServer(
    { key: readFileSync(join(dir, 'key.pem')), cert: readFileSync(join(dir, 'cert.pem')) },
    (request, response) => {
      proxied.push(request.url ?? '');
      response.end('forwarded');
    },
  );
  proxy.on('connect', (request, socket) => {
    proxied.push(request.url ?? '');
    const inner = connect(Number(host.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      inner.pipe(socket).pipe(inner);
    });
    socket.on('error', () => inner.destroy());
  });
  const address = await listen(proxy);
  const env = { HOME: join(dir, 'proxied'), http_proxy: `https://${address}`, https_proxy: `https://${address}` };
  const plain = { method: 'GET', url: 'http://registry.invalid/v2/', headers: {}, signal: undefined } as const;
  const tls = { ...plain, url: 'https://registry.invalid/v2/', verifyTls: false } as const;

  // Whatever is said of the registry: who reads the proxy's password has to be the proxy.
  const strangers = createTransport(env, DEFAULT_LIMITS);
  for (const request of [{ ...plain, verifyTls: false }, tls]) {
    await expect(strangers.send(request)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  }
  await strangers.close();
  expect(proxied).toEqual([]);

  const certs = join(env.HOME, '.config/docker/certs.d', address);
  mkdirSync(certs, { recursive: true });
  copyFileSync(join(dir, 'cert.pem'), join(certs, 'ca.crt'));
  const transport = createTransport(env, DEFAULT_LIMITS);
  expect(await transport.send({ ...plain, verifyTls: true })).toMatchObject({ status: 200 });
  expect(await transport.send(tls)).toMatchObject({ status: 404 });
  expect(proxied).toEqual(['http://registry.invalid/v2/', 'registry.invalid:443']);
  await transport.close();
  proxy.close();
  proxy.closeAllConnections();
});
