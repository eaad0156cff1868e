import { BuildError } from '../contracts/index.ts';
import type { Mirrors } from './types.ts';

/** Docker Hub's registry answers under another name than its images carry. */
const DOCKER_HUB = 'docker.io';
const DOCKER_HUB_ENDPOINT = 'registry-1.docker.io';

export type Scheme = 'http' | 'https';

/** One host to ask for one repository. */
export interface Endpoint {
  /** `HOST[:PORT]`, as in messages. */
  readonly host: string;
  /** The host under which the user's credentials are filed. */
  readonly account: string;
  /** In the order to try; the second only where the first cannot be the server's. */
  readonly schemes: readonly Scheme[];
  /** Whether a certificate must be vouched for. */
  readonly verifyTls: boolean;
  /** Path before `/v2/`, without a trailing slash. */
  readonly prefix: string;
  /** The repository there. */
  readonly path: string;
  readonly mirror: boolean;
}

/**
 * Reads a mirror setting: entries `REGISTRY=MIRROR[,MIRROR...]`, separated by `;`, spaces or, as `docker.io=a,quay.io=b`
 * shows by its `=`, commas. A mirror is `HOST[:PORT][/PREFIX]`, with `http://` before it where it speaks plain http
 * and is not on loopback. Two entries for one registry add up.
 *
 * @throws BuildError `usage`
 */
export function parseMirrors(text: string): Mirrors {
  const mirrors = new Map<string, string[]>();
  let registry: string | undefined;
  for (const item of text.split(/[;,\s]+/)) {
    if (item === '') continue;
    const equals = item.indexOf('=');
    if (equals !== -1) registry = registryName(item.slice(0, equals));
    const mirror = item.slice(equals + 1);
    if (registry === undefined || registry === '' || mirror === '') throw badMirror(item);
    parseMirror(mirror);
    const list = mirrors.get(registry) ?? [];
    if (!list.includes(mirror)) list.push(mirror);
    mirrors.set(registry, list);
  }
  return mirrors;
}

/**
 * The hosts to ask for a repository, mirrors first. Writes go to the registry itself only: the last endpoint.
 *
 * @param repository Full name, as `docker.io/library/alpine`.
 * @throws BuildError `usage` for a name without a host
 */
export function endpointsOf(
  repository: string,
  settings: { readonly mirrors: Mirrors; readonly insecure: readonly string[] },
): readonly [...Endpoint[], Endpoint] {
  const slash = repository.indexOf('/');
  if (slash <= 0) throw new BuildError({ code: 'usage', message: `${repository} names no registry` });
  const registry = registryName(repository.slice(0, slash));
  const path = repository.slice(slash + 1);
  const mirrors = (settings.mirrors.get(registry) ?? []).map((mirror): Endpoint => {
    const { scheme, host, prefix } = parseMirror(mirror);
    return { ...hostRules(host, scheme, settings.insecure), account: host, prefix, path, mirror: true };
  });
  const host = registry === DOCKER_HUB ? DOCKER_HUB_ENDPOINT : registry;
  return [
    ...mirrors,
    { ...hostRules(host, undefined, settings.insecure), account: registry, prefix: '', path, mirror: false },
  ];
}

/** `localhost`, 127.0.0.0/8 and ::1, with or without a port: the hosts that may be spoken to in plain http unasked. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name);
}

function hostRules(
  host: string,
  scheme: Scheme | undefined,
  insecure: readonly string[],
): Pick<Endpoint, 'host' | 'schemes' | 'verifyTls'> {
  const said = insecure.includes(host) || insecure.includes(host.replace(/:\d+$/, ''));
  const loopback = isLoopback(host);
  const verifyTls = !said && !loopback;
  if (scheme !== undefined) return { host, schemes: [scheme], verifyTls };
  if (loopback) return { host, schemes: ['http', 'https'], verifyTls };
  return { host, schemes: said ? ['https', 'http'] : ['https'], verifyTls };
}

function registryName(host: string): string {
  const name = host.toLowerCase();
  return name === 'index.docker.io' || name === DOCKER_HUB_ENDPOINT ? DOCKER_HUB : host;
}

const MIRROR =
  /^(?:(https?):\/\/)?((?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9._-]+)(?::\d{1,5})?)((?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)*)\/?$/;

function parseMirror(text: string): { scheme: Scheme | undefined; host: string; prefix: string } {
  const match = MIRROR.exec(text);
  const host = match?.[2];
  if (host === undefined) throw badMirror(text);
  return { scheme: match?.[1] as Scheme | undefined, host, prefix: match?.[3] ?? '' };
}

function badMirror(text: string): BuildError {
  return new BuildError({
    code: 'usage',
    message: `${JSON.stringify(text)} is not a mirror`,
    hint: 'write REGISTRY=HOST[:PORT], for example docker.io=127.0.0.1:5000; several with commas, further registries after ";"',
  });
}
