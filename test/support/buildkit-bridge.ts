/**
 * The BuildKit inside a dockerd under other addresses: a socket, a port with TLS, a program. Each connection is upgraded on
 * dockerd's API and then passed through byte by byte, so that what answers is a real daemon.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';

export interface Bridge {
  /** As `--builder` takes it. */
  readonly url: string;
  /** Cuts all connections without a word. */
  cut(): void;
  close(): Promise<void>;
}

/** `unix://`. */
export async function bridgeSocket(dockerHost: string, path: string): Promise<Bridge> {
  return await listen(createServer(), dockerHost, { path }, () => `unix://${path}`);
}

/** `tcp://` without TLS. */
export async function bridgePort(dockerHost: string): Promise<Bridge> {
  return await listen(createServer(), dockerHost, { port: 0, host: '127.0.0.1' }, (port) => `tcp://127.0.0.1:${port}`);
}

/** `tcp://` with TLS, where clients must show a certificate of the same authority; the files are in `dir`. */
export async function bridgeTls(dockerHost: string, dir: string): Promise<Bridge> {
  makeCertificates(dir);
  const read = (name: string): Buffer => readFileSync(join(dir, name));
  const server = createTlsServer({
    ca: read('ca.pem'),
    cert: read('server.pem'),
    key: read('server-key.pem'),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
  });
  return await listen(server, dockerHost, { port: 0, host: '127.0.0.1' }, (port) => `tcp://localhost:${port}`);
}

/**
 * Programs called `docker`, `podman`, `kubectl` and `ssh` that connect their standard streams to the socket at `path`, and
 * write their arguments to `<name>.args`. Returns the directory for PATH.
 */
export function bridgePrograms(dir: string, path: string): string {
  const bin = join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  const pipe = `const s = require('node:net').connect(${JSON.stringify(path)}); process.stdin.pipe(s); s.pipe(process.stdout);
s.on('error', (e) => { console.error('Error: ' + e.message); process.exit(1); }); s.on('close', () => process.exit(0));`;
  writeFileSync(join(bin, 'pipe.cjs'), pipe);
  for (const name of ['docker', 'podman', 'kubectl', 'ssh']) {
    const script = `#!/bin/sh\nprintf '%s\\n' "$@" > '${join(bin, `${name}.args`)}'\nexec '${process.execPath}' '${join(bin, 'pipe.cjs')}'\n`;
    writeFileSync(join(bin, name), script);
    chmodSync(join(bin, name), 0o755);
  }
  return bin;
}

async function listen(
  server: Server,
  dockerHost: string,
  where: { readonly path: string } | { readonly port: number; readonly host: string },
  urlOf: (port: number) => string,
): Promise<Bridge> {
  const open = new Set<Duplex>();
  const keep = (stream: Duplex): void => {
    open.add(stream);
    stream.on('close', () => open.delete(stream));
    stream.on('error', () => undefined);
  };
  const connect = (client: Socket): void => {
    keep(client);
    const upgrade = request({
      socketPath: dockerHost.replace('unix://', ''),
      method: 'POST',
      path: '/grpc',
      headers: { Host: 'docker', Connection: 'Upgrade', Upgrade: 'h2c' },
    });
    upgrade.on('upgrade', (_response, daemon, head) => {
      keep(daemon);
      client.write(head);
      client.pipe(daemon);
      daemon.pipe(client);
      client.on('close', () => daemon.destroy());
      daemon.on('close', () => client.destroy());
    });
    upgrade.on('error', () => client.destroy());
    upgrade.end();
  };
  server.on('tlsClientError', () => undefined);
  server.on('setSecureContext' in server ? 'secureConnection' : 'connection', connect);
  await new Promise<void>((resolve) => server.listen(where, resolve));
  const address = server.address();
  const cut = (): void => {
    for (const stream of open) stream.destroy();
  };
  return {
    url: urlOf(typeof address === 'object' && address !== null ? address.port : 0),
    cut,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      await closed;
    },
  };
}

/** `ca.pem`, `server.pem`, `client.pem` with their keys, for localhost, and an authority of nobody, `other-ca.pem`. */
export function makeCertificates(dir: string): void {
  mkdirSync(dir, { recursive: true });
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  };
  const key = (name: string): void => openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', name);
  for (const authority of ['ca', 'other-ca']) {
    key(`${authority}-key.pem`);
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      `${authority}-key.pem`,
      '-subj',
      `/CN=${authority}`,
      '-days',
      '2',
      '-out',
      `${authority}.pem`,
    );
  }
  writeFileSync(join(dir, 'server.ext'), 'subjectAltName=DNS:localhost\n');
  writeFileSync(join(dir, 'client.ext'), 'extendedKeyUsage=clientAuth\n');
  for (const name of ['server', 'client']) {
    key(`${name}-key.pem`);
    openssl('req', '-new', '-key', `${name}-key.pem`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca-key.pem',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
  }
}
