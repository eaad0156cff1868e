import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BuildError } from '../contracts/index.ts';
import type { Env } from './transport.ts';

/** How a user proves who they are to one registry. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, as `docker login` stores for some registries. */
  | { readonly kind: 'identity-token'; readonly token: string };

/** Where credentials come from; other than the user's files in `slipway login`, which has not saved them yet. */
export type FindCredentials = typeof findCredentials;

/** Docker Hub's credentials are filed under the URL of its first version. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'];
/** A helper may ask the user or a cloud; then it hangs no build for longer than this (milliseconds). */
const HELPER_TIMEOUT = 30_000;
const HELPER_OUTPUT_MAX = 1024 * 1024;
const CONFIG_MAX = 1024 * 1024;

export interface ConfigFile {
  readonly auths?: Readonly<
    Record<string, { auth?: string; username?: string; password?: string; identitytoken?: string }>
  >;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/**
 * The user's credentials for a registry: REGISTRY_AUTH_FILE (containers-auth.json(5)) first, then Docker's
 * `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`; in each, a helper for the host, the entry of `auths`, the
 * general helper.
 *
 * @param host As in image names: `docker.io`, `ghcr.io`, `localhost:5000`.
 * @param path The repository; auth files of podman may name one.
 * @returns undefined when there are none: the registry is asked anonymously.
 * @throws BuildError `auth` when a configuration or helper is there and broken
 */
export async function findCredentials(host: string, path: string, env: Env): Promise<Credentials | undefined> {
  for (const file of configFiles(env)) {
    const config = await readConfig(file);
    const found = config && (await credentialsIn(config, host, path, file, env));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The one that is looked at first is the one that a login is saved in. */
export function configFiles(env: Env): readonly string[] {
  const files: string[] = [];
  const authFile = env['REGISTRY_AUTH_FILE'];
  if (authFile !== undefined && authFile !== '') files.push(authFile);
  const directory = env['DOCKER_CONFIG'];
  if (directory !== undefined && directory !== '') files.push(join(directory, 'config.json'));
  else files.push(join(env['HOME'] ?? homedir(), '.docker', 'config.json'));
  return files;
}

export async function readConfig(file: string): Promise<ConfigFile | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw broken(file, `cannot be read (${code ?? 'error'})`, error);
  }
  if (bytes.length > CONFIG_MAX) throw broken(file, 'is too large');
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new TypeError('not an object');
    return value;
  } catch (error) {
    // The parser's message quotes the text, which may be a password.
    throw broken(file, 'is not valid JSON', error instanceof TypeError ? error : undefined);
  }
}

async function credentialsIn(
  config: ConfigFile,
  host: string,
  path: string,
  file: string,
  env: Env,
): Promise<Credentials | undefined> {
  const keys = keysOf(host, path);
  for (const key of keys) {
    const helper = config.credHelpers?.[key];
    if (typeof helper === 'string' && helper !== '') {
      const found = await askHelper(helper, serverUrl(host), env);
      if (found !== undefined) return found;
    }
  }
  for (const key of keys) {
    const entry = config.auths?.[key];
    const found = entry && fromEntry(entry, key, file);
    if (found !== undefined) return found;
  }
  if (typeof config.credsStore === 'string' && config.credsStore !== '') {
    return askHelper(config.credsStore, serverUrl(host), env);
  }
  return undefined;
}

/** Most particular first. */
export function keysOf(host: string, path: string): readonly string[] {
  const parts = path.split('/');
  const namespaces = parts.map((_, index) => `${host}/${parts.slice(0, parts.length - index).join('/')}`);
  const hosts =
    host === 'docker.io'
      ? HUB_KEYS
      : [
          host,
          ...['https', 'http'].flatMap((s) => ['', '/', '/v1/', '/v2/', '/v1', '/v2'].map((p) => `${s}://${host}${p}`)),
        ];
  return [...namespaces, ...hosts];
}

/** What a registry is called in Docker's config and to helpers. */
export function serverUrl(host: string): string {
  return host === 'docker.io' ? 'https://index.docker.io/v1/' : host;
}

function fromEntry(
  entry: { auth?: unknown; username?: unknown; password?: unknown; identitytoken?: unknown },
  key: string,
  file: string,
): Credentials | undefined {
  if (typeof entry.identitytoken === 'string' && entry.identitytoken !== '') {
    return { kind: 'identity-token', token: entry.identitytoken };
  }
  if (typeof entry.username === 'string' && typeof entry.password === 'string') {
    return { kind: 'password', username: entry.username, password: entry.password };
  }
  if (typeof entry.auth !== 'string' || entry.auth === '') return undefined;
  const text = Buffer.from(entry.auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon <= 0) throw broken(file, `holds no user and password for ${key}`);
  // Docker pads with NUL bytes in old files.
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

/** docker-credential-helpers' protocol: the server on stdin, JSON on stdout. */
async function askHelper(name: string, server: string, env: Env): Promise<Credentials | undefined> {
  if (!/^[\w.-]+$/.test(name)) throw helperError(name, 'has no valid name');
  const program = `docker-credential-${name}`;
  const { code, output } = await runHelper(program, 'get', server, env);
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return undefined;
    throw helperError(program, `failed with exit code ${code} for ${server}`);
  }
  let answer: { Username?: unknown; Secret?: unknown } | null;
  try {
    answer = JSON.parse(output) as typeof answer;
  } catch {
    throw helperError(program, 'answered something that is not JSON');
  }
  const { Username: username, Secret: secret } = answer ?? {};
  if (typeof username !== 'string' || typeof secret !== 'string') throw helperError(program, 'answered no credentials');
  if (secret === '') return undefined;
  return username === '<token>'
    ? { kind: 'identity-token', token: secret }
    : { kind: 'password', username, password: secret };
}

/** Runs `docker-credential-NAME VERB`. Errors: `auth` when it cannot be started or hangs. */
export function runHelper(
  program: string,
  verb: 'get' | 'store' | 'erase',
  input: string,
  env: Env,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [verb], {
      env: { ...env },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: HELPER_TIMEOUT,
    });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (data: Buffer) => {
      size += data.length;
      if (size > HELPER_OUTPUT_MAX) child.kill('SIGKILL');
      else parts.push(data);
    });
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        helperError(program, error.code === 'ENOENT' ? 'is not installed' : `cannot be started (${error.code ?? ''})`),
      ),
    );
    child.on('close', (code, signal) => {
      if (signal !== null) reject(helperError(program, `did not answer (${signal})`));
      else resolve({ code: code ?? 1, output: Buffer.concat(parts).toString('utf8') });
    });
    child.stdin.on('error', () => undefined); // it may end without reading
    child.stdin.end(input);
  });
}

function helperError(program: string, what: string): BuildError {
  return new BuildError({
    code: 'auth',
    message: `credential helper ${program} ${what}`,
    hint: "it is named by credHelpers or credsStore in Docker's config.json; install it, or remove it there",
  });
}

function broken(file: string, what: string, cause?: unknown): BuildError {
  return new BuildError({
    code: 'auth',
    message: `${file} ${what}`,
    hint: 'it holds the credentials for registries; repair it, or point DOCKER_CONFIG elsewhere',
    cause,
  });
}
