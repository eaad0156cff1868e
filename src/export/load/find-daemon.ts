/** Which Docker or Podman an image is loaded into: the one that `docker load` or `podman load` would use, in this order. */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import { pingApi } from './docker-api.ts';
import type { ApiAddress } from './docker-api.ts';

/** Where an archive is loaded. */
export type ImageDaemon =
  | { readonly kind: 'api'; readonly address: ApiAddress }
  /** A program that knows the way, as `docker load` for ssh. */
  | { readonly kind: 'program'; readonly command: string; readonly args: readonly string[] };

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The daemon that DOCKER_HOST, the current context of docker, or CONTAINER_HOST names; else the first that answers on a
 * socket where Docker and Podman are by default; else their programs.
 *
 * @throws BuildError `export` when there is none or it does not answer, `permission`, `usage` for a host that is none
 */
export async function findImageDaemon(env: Env): Promise<ImageDaemon> {
  const named = namedHost(env);
  if (named !== undefined) {
    const found = daemonAt(named.host, env, named.from);
    if (found.kind === 'api') await pingApi(found.address);
    return found;
  }
  const home = env['HOME'] ?? homedir();
  const refused: BuildError[] = [];
  for (const path of defaultSockets(env, home)) {
    if (!existsSync(path)) continue;
    const address: ApiAddress = { what: `unix://${path}`, options: { socketPath: path } };
    try {
      await pingApi(address);
      return { kind: 'api', address };
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      refused.push(error);
    }
  }
  for (const command of ['docker', 'podman']) {
    if (isInstalled(command, env)) return { kind: 'program', command, args: ['load'] };
  }
  throw (
    refused.find(({ code }) => code === 'permission') ??
    refused[0] ??
    new BuildError({
      code: 'export',
      message: 'there is no Docker and no Podman to load the image into',
      hint: `start one, or say where it is with DOCKER_HOST; looked at ${defaultSockets(env, home).join(', ')}. Without either: -o type=docker,dest=FILE, or -t for the local store`,
    })
  );
}

function namedHost(env: Env): { readonly host: string; readonly from: string } | undefined {
  const host = env['DOCKER_HOST'];
  if (host) return { host, from: 'DOCKER_HOST' };
  const context = currentContext(env);
  if (context !== undefined) return { host: contextHost(context, env), from: `the docker context ${context}` };
  const container = env['CONTAINER_HOST'];
  return container ? { host: container, from: 'CONTAINER_HOST' } : undefined;
}

function daemonAt(host: string, env: Env, from: string): ImageDaemon {
  if (host.startsWith('unix://')) {
    const path = host.slice('unix://'.length);
    return { kind: 'api', address: { what: host, options: { socketPath: path } } };
  }
  // Only docker itself knows how to get there.
  if (host.startsWith('ssh://') || host === '') {
    return from === 'CONTAINER_HOST'
      ? { kind: 'program', command: 'podman', args: ['load'] }
      : { kind: 'program', command: 'docker', args: ['load'] };
  }
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url === undefined || !/^(?:tcp|https?):$/.test(url.protocol) || url.hostname === '') {
    throw new BuildError({
      code: 'usage',
      message: `${from} names no Docker daemon: ${JSON.stringify(host)}`,
      hint: 'write it as unix:///var/run/docker.sock, tcp://HOST:2375 or ssh://USER@HOST',
    });
  }
  const usesTls = url.protocol === 'https:' || (url.protocol === 'tcp:' && Boolean(env['DOCKER_TLS_VERIFY']));
  const port = Number(url.port) || (usesTls ? 2376 : 2375);
  const options = { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port };
  return { kind: 'api', address: { what: host, options, tls: usesTls ? tlsFiles(env) : undefined } };
}

function tlsFiles(env: Env): NonNullable<ApiAddress['tls']> {
  const directory = env['DOCKER_CERT_PATH'] || dockerConfig(env);
  const read = (name: string): Buffer | undefined => {
    const path = join(directory, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}

function dockerConfig(env: Env): string {
  return env['DOCKER_CONFIG'] || join(env['HOME'] ?? homedir(), '.docker');
}

/** What `docker context use` chose; undefined for the default one. */
function currentContext(env: Env): string | undefined {
  const named = env['DOCKER_CONTEXT'] || configuredContext(env);
  return named === undefined || named === 'default' ? undefined : named;
}

function configuredContext(env: Env): string | undefined {
  try {
    const config = JSON.parse(readFileSync(join(dockerConfig(env), 'config.json'), 'utf8')) as unknown;
    const name =
      typeof config === 'object' && config !== null ? (config as Record<string, unknown>)['currentContext'] : '';
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    // Without a configuration there is the default context; a damaged one is docker's to complain about.
    return undefined;
  }
}

/** Its address where it is a plain one; '' = docker itself finds the way (TLS of a context, ssh). */
function contextHost(name: string, env: Env): string {
  const directory = createHash('sha256').update(name).digest('hex');
  try {
    const path = join(dockerConfig(env), 'contexts/meta', directory, 'meta.json');
    const meta = JSON.parse(readFileSync(path, 'utf8')) as { Endpoints?: { docker?: { Host?: unknown } } };
    const host = meta.Endpoints?.docker?.Host;
    return typeof host === 'string' && host.startsWith('unix://') ? host : '';
  } catch {
    return '';
  }
}

function defaultSockets(env: Env, home: string): readonly string[] {
  const runtime = env['XDG_RUNTIME_DIR'];
  return [
    '/var/run/docker.sock',
    ...(runtime ? [`${runtime}/docker.sock`] : []),
    `${home}/.docker/run/docker.sock`,
    `${home}/.docker/desktop/docker.sock`,
    '/run/podman/podman.sock',
    ...(runtime ? [`${runtime}/podman/podman.sock`] : []),
  ];
}

function isInstalled(command: string, env: Env): boolean {
  return (env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return directory !== '';
    } catch {
      return false;
    }
  });
}
