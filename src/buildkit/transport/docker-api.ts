/** The little of Docker's own API that its BuildKit does not cover. */
import { request as httpRequest } from 'node:http';
import type { Credentials } from '../../registry/index.ts';
import { builderError, lostDaemon } from '../errors.ts';
import { connectError } from './connect-error.ts';
import { dialDockerHost } from './dial.ts';
import type { DialOptions } from './dial.ts';
import type { Endpoint } from './endpoint.ts';

type DockerEndpoint = Extract<Endpoint, { kind: 'docker' }>;

/** No answer that we read whole is longer. Bytes. */
const ANSWER_MAX = 16 << 20;

/**
 * Whether dockerd keeps images in containerd. Its classic store knows neither pushes from a build nor OCI archives.
 *
 * @throws BuildError `builder`
 */
export async function hasContainerdStore(endpoint: DockerEndpoint, options: DialOptions): Promise<boolean> {
  const { status, body } = await call(endpoint, 'GET', '/info', {}, options);
  if (status !== 200) return false;
  const { DriverStatus: rows } = JSON.parse(body) as { DriverStatus?: readonly (readonly string[])[] };
  return (rows ?? []).some(
    ([key, value]) => key === 'driver-type' && value?.startsWith('io.containerd.snapshotter') === true,
  );
}

/** Has dockerd push an image that it keeps. @throws BuildError `builder`, `auth`, `registry` */
export async function pushImage(
  endpoint: DockerEndpoint,
  name: { readonly repository: string; readonly tag: string },
  credentials: Credentials | undefined,
  options: DialOptions,
): Promise<void> {
  const auth =
    credentials === undefined
      ? {}
      : credentials.kind === 'password'
        ? { username: credentials.username, password: credentials.password }
        : { identitytoken: credentials.token };
  const headers = { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64url') };
  const path = `/images/${name.repository}/push?tag=${encodeURIComponent(name.tag)}`;
  const { status, body } = await call(endpoint, 'POST', path, headers, options);
  const lines = body.split('\n').filter((line) => line.trim() !== '');
  const said = lines.map(
    (line) => JSON.parse(line) as { readonly status?: string; readonly error?: string; readonly message?: string },
  );
  const failure = said.find(({ error, message }) => (error ?? (status >= 400 ? message : undefined)) !== undefined);
  if (failure !== undefined || status >= 400) {
    throw builderError(
      `${name.repository}:${name.tag} cannot be pushed: ${failure?.error ?? failure?.message ?? `status ${status}`}`,
      {
        hint: 'log in with: slipway login REGISTRY',
      },
    );
  }
}

async function call(
  endpoint: DockerEndpoint,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  options: DialOptions,
): Promise<{ readonly status: number; readonly body: string }> {
  const raw = await dialDockerHost(endpoint, options);
  try {
    return await new Promise((resolve, reject) => {
      const request = httpRequest({
        method,
        path,
        headers: { Host: 'docker', Connection: 'close', ...headers },
        createConnection: () => raw,
        signal: options.signal,
      });
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= ANSWER_MAX) chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', reject);
        response.on('aborted', () => reject(lostDaemon(`the connection to ${endpoint.host} was lost`)));
      });
      request.on('error', (error) =>
        reject(connectError(endpoint.host, options.signal.aborted ? options.signal.reason : error)),
      );
      request.end();
    });
  } finally {
    raw.destroy();
  }
}
