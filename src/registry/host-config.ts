/**
 * What a machine's administrator has set up for registries, in the files that other tools read: mirrors and plain http
 * of containers-registries.conf(5) and of containerd's hosts.toml (docs/hosts.md there). Read once, when the network is
 * first used.
 */
import { readFile, readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BuildError } from '../contracts/index.ts';
import { parseMirrors } from './endpoints.ts';
import type { Env } from './transport.ts';
import type { Mirrors } from './types.ts';

export interface HostConfig {
  readonly mirrors: Mirrors;
  /** Hosts that may be spoken to in plain http or with a certificate nobody vouches for. */
  readonly insecure: readonly string[];
}

/** @throws BuildError `registry` for a file that cannot be understood, with its path */
export async function readHostConfig(env: Env): Promise<HostConfig> {
  const mirrors = new Map<string, string[]>();
  const insecure = new Set<string>();
  const add = (registry: string, mirror: string): void => {
    // Says what is wrong with a mirror, and knows docker.io by its other names.
    for (const [name, hosts] of parseMirrors(`${registry}=${mirror}`)) {
      const list = mirrors.get(name) ?? [];
      list.push(...hosts.filter((host) => !list.includes(host)));
      mirrors.set(name, list);
    }
  };
  const found = { add, insecure: (host: string) => insecure.add(host) };
  for (const file of registriesConfFiles(env)) {
    const document = await readToml(file);
    if (document === undefined) continue;
    readRegistriesConf(document, found);
    break;
  }
  for (const directory of hostsDirectories(env)) await readHostsDirectory(directory, found);
  return { mirrors, insecure: [...insecure] };
}

type Document = Readonly<Record<string, unknown>>;

interface Found {
  add(registry: string, mirror: string): void;
  insecure(host: string): void;
}

/** The first that is there counts (containers-registries.conf(5)). */
function registriesConfFiles(env: Env): readonly string[] {
  const named = env['CONTAINERS_REGISTRIES_CONF'];
  if (named !== undefined && named !== '') return [named];
  return [join(configHome(env), 'containers/registries.conf'), '/etc/containers/registries.conf'];
}

function hostsDirectories(env: Env): readonly string[] {
  return [join(configHome(env), 'containerd/certs.d'), '/etc/containerd/certs.d'];
}

function configHome(env: Env): string {
  return env['XDG_CONFIG_HOME'] ?? join(env['HOME'] ?? homedir(), '.config');
}

function readRegistriesConf(document: Document, found: Found): void {
  for (const entry of tables(document['registry'])) {
    const location = text(entry['location']);
    const prefix = text(entry['prefix']) ?? location;
    // Wildcards and prefixes with a path are about single repositories: not a mirror of a whole registry.
    if (prefix === undefined || prefix.includes('*') || prefix.includes('/')) continue;
    for (const mirror of tables(entry['mirror'])) {
      const host = text(mirror['location']);
      if (host === undefined) continue;
      found.add(prefix, host);
      if (mirror['insecure'] === true) found.insecure(hostOf(host));
    }
    // A location of its own stands in for the registry: the last of its mirrors.
    if (location !== undefined && location !== prefix) found.add(prefix, location);
    if (entry['insecure'] === true) found.insecure(hostOf(location ?? prefix));
  }
}

async function readHostsDirectory(directory: string, found: Found): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.sort()) {
    // `_default` is for every registry: it names no host to file mirrors under.
    if (name === '_default') continue;
    const document = await readToml(join(directory, name, 'hosts.toml'));
    if (document === undefined) continue;
    const registry = name.replace(/_(\d+)_$/, ':$1');
    for (const [url, settings] of Object.entries(table(document['host']))) {
      const capabilities = table(settings)['capabilities'];
      if (Array.isArray(capabilities) && !capabilities.includes('pull')) continue;
      const mirror = url.includes('://') ? url : `https://${url}`;
      const plain = mirror.replace(/^https:\/\//, '').replace(/\/v2\/?$/, '');
      if (hostOf(plain) === registry) continue;
      found.add(registry, plain);
      if (table(settings)['skip_verify'] === true || mirror.startsWith('http://')) found.insecure(hostOf(plain));
    }
  }
}

function hostOf(location: string): string {
  return location.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

async function readToml(file: string): Promise<Document | undefined> {
  let data: string;
  try {
    data = await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const { parse } = await import('smol-toml');
    return table(parse(data));
  } catch (error) {
    throw new BuildError({
      code: 'registry',
      message: `${file} cannot be understood: ${(error as Error).message.split('\n')[0] ?? ''}`,
      hint: 'it says which mirrors to use for registries; repair it',
      cause: error,
    });
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function table(value: unknown): Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Document) : {};
}

function tables(value: unknown): readonly Document[] {
  return Array.isArray(value) ? value.map(table) : [];
}
