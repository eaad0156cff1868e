import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BuildError } from '../contracts/index.ts';
import { createClient } from './client.ts';
import { configFiles, keysOf, readConfig, runHelper, serverUrl } from './credentials.ts';
import type { ConfigFile } from './credentials.ts';
import { endpointsOf } from './endpoints.ts';
import { DEFAULT_LIMITS } from './retry.ts';
import type { Env } from './transport.ts';

export interface Login {
  /** As in image names: `docker.io`, `localhost:5000`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
}

/** Where a login was put; `plain` when anybody who reads the file has the password. */
export interface SavedLogin {
  readonly place: string;
  readonly plain: boolean;
}

/**
 * Asks the registry whether it takes the credentials and saves them where docker and podman look for them: in a helper
 * when the configuration names one, else in the file.
 *
 * @throws BuildError `auth` when they are refused, `registry`, `permission`
 */
export async function login(given: Login, env: Env, insecure: readonly string[] = []): Promise<SavedLogin> {
  const { host, username, password } = given;
  const endpoint = { ...endpointsOf(`${host}/any`, { mirrors: new Map(), insecure })[0], path: '' };
  const client = createClient(env, DEFAULT_LIMITS, async () => ({ kind: 'password', username, password }));
  try {
    const answer = await client.send(endpoint, {
      method: 'GET',
      target: '',
      what: `the login of ${username}`,
      scopes: [],
      expect: [200],
    });
    await answer.drain();
  } finally {
    await client.close();
  }
  return await save(given, env);
}

/** Forgets the credentials for a registry. Returns the places that had them. */
export async function logout(host: string, env: Env): Promise<readonly string[]> {
  const places: string[] = [];
  for (const file of configFiles(env)) {
    const config = await readConfig(file);
    if (config === undefined) continue;
    const helper = helperOf(config, host);
    if (helper !== undefined) {
      const { code } = await runHelper(helper, 'erase', serverUrl(host), env);
      if (code === 0) places.push(helper);
    }
    const keys = keysOf(host, '').filter((key) => config.auths !== undefined && Object.hasOwn(config.auths, key));
    if (keys.length === 0) continue;
    const auths = Object.fromEntries(Object.entries(config.auths ?? {}).filter(([key]) => !keys.includes(key)));
    await writeConfig(file, { ...config, auths });
    places.push(file);
  }
  return places;
}

async function save({ host, username, password }: Login, env: Env): Promise<SavedLogin> {
  const [file] = configFiles(env);
  if (file === undefined) throw new BuildError({ code: 'internal', message: 'no place for credentials' });
  const config = (await readConfig(file)) ?? {};
  const helper = helperOf(config, host);
  if (helper !== undefined) {
    const secret = JSON.stringify({ ServerURL: serverUrl(host), Username: username, Secret: password });
    const { code } = await runHelper(helper, 'store', secret, env);
    if (code !== 0)
      throw new BuildError({ code: 'auth', message: `${helper} did not take the credentials for ${host}` });
    return { place: helper, plain: false };
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  await writeConfig(file, { ...config, auths: { ...config.auths, [serverUrl(host)]: { auth } } });
  return { place: file, plain: true };
}

function helperOf(config: ConfigFile, host: string): string | undefined {
  const own = keysOf(host, '')
    .map((key) => config.credHelpers?.[key])
    .find((name) => typeof name === 'string' && name !== '');
  const name = own ?? config.credsStore;
  return typeof name === 'string' && /^[\w.-]+$/.test(name) ? `docker-credential-${name}` : undefined;
}

/** Readable by the user alone from its first byte; whole or not at all. */
async function writeConfig(file: string, config: ConfigFile): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(partial, `${JSON.stringify(config, undefined, '\t')}\n`, { mode: 0o600 });
    await chmod(partial, 0o600);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw new BuildError({
      code: 'permission',
      message: `${file} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'error'})`,
      hint: 'credentials are kept there; DOCKER_CONFIG names another directory',
      cause: error,
    });
  }
}
