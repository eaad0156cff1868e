/** Streams to where an endpoint is. */
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect as netConnect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';
import { BuildError } from '../../contracts/index.ts';
import { builderError } from '../errors.ts';
import { connectError } from './connect-error.ts';
import { sshArguments } from './endpoint.ts';
import type { Endpoint, Environment, TlsFiles } from './endpoint.ts';
import { programStream } from './program.ts';

/** A daemon that is there answers at once; one behind a pod or ssh takes its time. Milliseconds. */
const CONNECT_TIMEOUT = 20_000;

export interface DialOptions {
  readonly env: Environment;
  readonly signal: AbortSignal;
  /** Of several daemons that would do, equal keys get the same: it has what the last build of this kind left. */
  readonly routeKey?: string | undefined;
}

/**
 * A connection that speaks gRPC to the daemon.
 *
 * @throws BuildError `builder`, `permission`, `usage`, `cancelled`
 */
export async function dial(endpoint: Endpoint, options: DialOptions): Promise<Duplex> {
  switch (endpoint.kind) {
    case 'unix':
      return await opened(netConnect({ path: endpoint.path }), 'connect', `unix://${endpoint.path}`, options);
    case 'tcp':
      return await dialTcp(endpoint.host, endpoint.port, endpoint.tls, ['h2'], options);
    case 'program':
      return await programStream(endpoint, options);
    case 'pods': {
      const { choosePod } = await import('./pods.ts');
      return await programStream(await choosePod(endpoint, options), options);
    }
    case 'docker':
      return await upgrade(endpoint, '/grpc', {}, options);
  }
}

/**
 * A connection on which dockerd is the client and asks what a session serves; only `docker://` has one of its own,
 * elsewhere the session goes through `Control.Session`.
 */
export async function dialDockerSession(
  endpoint: Extract<Endpoint, { kind: 'docker' }>,
  headers: Readonly<Record<string, string | readonly string[]>>,
  options: DialOptions,
): Promise<Duplex> {
  return await upgrade(endpoint, '/session', headers, options);
}

async function dialTcp(
  host: string,
  port: number,
  tls: TlsFiles | undefined,
  protocols: readonly string[],
  options: DialOptions,
): Promise<Duplex> {
  const where = `tcp://${host}:${port}`;
  if (tls === undefined) {
    const socket = netConnect({ host, port });
    socket.setKeepAlive(true, 10_000);
    socket.setNoDelay(true);
    return await opened(socket, 'connect', where, options);
  }
  const files: SecureContextOptions = {
    ca: tls.ca === undefined ? undefined : readTls(tls.ca),
    cert: tls.cert === undefined ? undefined : readTls(tls.cert),
    key: tls.key === undefined ? undefined : readTls(tls.key),
  };
  const name = tls.serverName ?? host;
  const socket = tlsConnect({
    host,
    port,
    ...files,
    servername: /^[\d.]+$|:/.test(name) ? undefined : name,
    ALPNProtocols: [...protocols],
  });
  socket.setKeepAlive(true, 10_000);
  socket.setNoDelay(true);
  return await opened(socket, 'secureConnect', where, options);
}

function readTls(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new BuildError({
      code: 'builder',
      message: `${path} for TLS cannot be read: ${(error as Error).message}`,
      hint: 'name the files in the URL: tcp://host:1234?ca=ca.pem&cert=cert.pem&key=key.pem',
      cause: error,
    });
  }
}

/** The stream once it is connected; what went wrong as one of our errors. */
async function opened<T extends Duplex>(stream: T, event: string, where: string, { signal }: DialOptions): Promise<T> {
  return await new Promise((resolve, reject) => {
    const finish = (error?: unknown): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      stream.off('error', finish);
      stream.off(event, onOpen);
      if (error === undefined) resolve(stream);
      else {
        stream.on('error', () => undefined);
        stream.destroy();
        reject(connectError(where, error));
      }
    };
    const onOpen = (): void => finish();
    const onAbort = (): void => finish(signal.reason);
    const timer = setTimeout(
      () => finish(new Error(`no answer within ${CONNECT_TIMEOUT / 1000} seconds`)),
      CONNECT_TIMEOUT,
    );
    stream.on('error', finish);
    stream.on(event, onOpen);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** dockerd serves its BuildKit on its own API, by way of an HTTP upgrade (moby, api/server/router/grpc). */
async function upgrade(
  endpoint: Extract<Endpoint, { kind: 'docker' }>,
  path: string,
  headers: Readonly<Record<string, string | readonly string[]>>,
  options: DialOptions,
): Promise<Duplex> {
  const raw = await dialDockerHost(endpoint, options);
  const where = endpoint.host;
  return await new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      raw.destroy();
      reject(connectError(where, error));
    };
    const timer = setTimeout(
      () => fail(new Error(`no answer within ${CONNECT_TIMEOUT / 1000} seconds`)),
      CONNECT_TIMEOUT,
    );
    const request = httpRequest({
      method: 'POST',
      path,
      headers: { Host: 'docker', Connection: 'Upgrade', Upgrade: 'h2c', ...(headers as Record<string, string>) },
      createConnection: () => raw,
    });
    request.on('upgrade', (_response, socket, head) => {
      clearTimeout(timer);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.on('response', (response) => {
      clearTimeout(timer);
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8').trim().slice(0, 500);
        fail(
          builderError(`${where} does not serve BuildKit: HTTP status ${response.statusCode ?? 0} ${text}`, {
            hint: 'a Docker daemon from 18.09 on is needed, with BuildKit not switched off',
          }),
        );
      });
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      fail(error);
    });
    request.end();
  });
}

export async function dialDockerHost(
  { host, tls }: Extract<Endpoint, { kind: 'docker' }>,
  options: DialOptions,
): Promise<Duplex> {
  if (host.startsWith('unix://')) {
    return await opened(netConnect({ path: host.slice('unix://'.length) }), 'connect', host, options);
  }
  if (host.startsWith('ssh://')) {
    const url = new URL(host.replace(/^ssh:/, 'http:'));
    return await programStream(
      {
        kind: 'program',
        command: 'ssh',
        args: [
          ...sshArguments(decodeURIComponent(url.username), url.port),
          '--',
          url.hostname,
          'docker system dial-stdio',
        ],
        what: host,
      },
      options,
    );
  }
  const url = new URL(host.replace(/^tcp:/, 'http:'));
  const port = Number(url.port || (tls === undefined ? '2375' : '2376'));
  return await dialTcp(url.hostname, port, tls, ['http/1.1'], options);
}
