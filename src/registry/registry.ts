import { BuildError, isDigest } from '../contracts/index.ts';
import {
  MANIFEST_SIZE_MAX,
  MEDIA_TYPES,
  digestOf,
  isIndexType,
  isManifestType,
  parseDocument,
} from '../image/index.ts';
import type { Descriptor } from '../image/index.ts';
import { downloadBlob, pullBlob, readBlob } from './blobs.ts';
import { createClient } from './client.ts';
import type { ClientResponse } from './client.ts';
import { endpointsOf, parseMirrors } from './endpoints.ts';
import type { Endpoint } from './endpoints.ts';
import { digestMismatch, hostile } from './errors.ts';
import { readHostConfig } from './host-config.ts';
import { pushGrowingBlob } from './push-growing.ts';
import { hasBlob, ownManifest, pushBlob, pushManifest, removeTag } from './push.ts';
import { DEFAULT_LIMITS } from './retry.ts';
import { createSemaphore } from './semaphore.ts';
import { readBody } from './transport.ts';
import type { Env } from './transport.ts';
import type { CallOptions, FetchedManifest, Mirrors, Registry, RegistryOptions } from './types.ts';

/** Blobs moved at once with one registry, as containerd and Docker do (3 to 5). */
const PARALLEL_BLOBS = 4;

const MANIFEST_ACCEPT = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.dockerIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerManifest,
].join(', ');

/**
 * @throws BuildError `usage` when SLIPWAY_MIRRORS cannot be read
 */
export function createRegistry(options: RegistryOptions = {}): Registry {
  const env = options.env ?? process.env;
  const given = {
    mirrors: options.mirrors ?? parseMirrors(env['SLIPWAY_MIRRORS'] ?? ''),
    insecure: options.insecure ?? [],
  };
  let merged: ReturnType<typeof mergeSettings> | undefined;
  /** The hosts to ask for a repository, in order. */
  async function hosts(repository: string): Promise<readonly [...Endpoint[], Endpoint]> {
    return endpointsOf(repository, await (merged ??= mergeSettings(given, env)));
  }
  const client = createClient(env, { ...DEFAULT_LIMITS, ...options.limits });
  const turn = createSemaphore(PARALLEL_BLOBS);

  function withSignal(call: CallOptions | undefined): CallOptions {
    const signals = [call?.signal, options.signal].filter((signal) => signal !== undefined);
    return { ...call, signal: signals.length < 2 ? signals[0] : AbortSignal.any(signals) };
  }

  /** The registry itself, without its mirrors. */
  async function home(repository: string): Promise<Endpoint> {
    return (await hosts(repository)).at(-1) as Endpoint;
  }

  async function manifestFrom(
    endpoint: Endpoint,
    method: 'GET' | 'HEAD',
    repository: string,
    reference: string,
    call: CallOptions,
  ): Promise<ClientResponse> {
    return client.send(endpoint, {
      method,
      target: `/manifests/${reference}`,
      what: nameOf(repository, reference),
      scopes: [`repository:${endpoint.path}:pull`],
      headers: { accept: MANIFEST_ACCEPT },
      expect: [200],
      signal: call.signal,
    });
  }

  async function fetchFrom(
    endpoint: Endpoint,
    repository: string,
    reference: string,
    call: CallOptions,
  ): Promise<FetchedManifest> {
    const what = nameOf(repository, reference);
    const response = await manifestFrom(endpoint, 'GET', repository, reference, call);
    const bytes = await readBody(response, MANIFEST_SIZE_MAX);
    if (bytes === undefined) throw hostile(`the manifest of ${what}`, endpoint.host, 'it is larger than 4 MiB');
    const served = response.headers['content-type']?.split(';')[0]?.trim();
    const parsed = parseDocument(bytes, served, { name: `the manifest of ${what}`, code: 'hostile' });
    const found = digestOf(bytes);
    const descriptor: Descriptor = { mediaType: parsed.mediaType, digest: found, size: bytes.length };
    const wanted = isDigest(reference) ? reference : response.headers['docker-content-digest'];
    if (wanted !== undefined && wanted !== found && (isDigest(reference) || isDigest(wanted))) {
      throw digestMismatch(`the manifest of ${what}`, endpoint.host, found, wanted);
    }
    return { ...parsed, descriptor, bytes };
  }

  return {
    async resolve(repository, reference, callOptions) {
      const call = withSignal(callOptions);
      checkReference(reference);
      return fromSome(await hosts(repository), async (endpoint): Promise<Descriptor> => {
        const response = await manifestFrom(endpoint, 'HEAD', repository, reference, call);
        await response.drain();
        const digest = response.headers['docker-content-digest'] ?? (isDigest(reference) ? reference : undefined);
        const mediaType = response.headers['content-type']?.split(';')[0]?.trim();
        const size = Number(response.headers['content-length'] ?? '0');
        const told = digest !== undefined && isDigest(digest) && mediaType !== undefined && size > 0;
        if (!told || !(isIndexType(mediaType) || isManifestType(mediaType))) {
          return (await fetchFrom(endpoint, repository, reference, call)).descriptor;
        }
        if (isDigest(reference) && digest !== reference) {
          throw digestMismatch(nameOf(repository, reference), endpoint.host, digest, reference);
        }
        return { mediaType, digest, size };
      });
    },

    async fetchManifest(repository, reference, callOptions) {
      const call = withSignal(callOptions);
      checkReference(reference);
      return fromSome(await hosts(repository), (endpoint) => fetchFrom(endpoint, repository, reference, call));
    },

    async *fetchBlob(repository, descriptor, callOptions) {
      const endpoints = await hosts(repository);
      const release = await turn(endpoints[0].host, withSignal(callOptions).signal);
      try {
        const read = callOptions?.verify === false ? downloadBlob : readBlob;
        yield* read(client, endpoints, descriptor, withSignal(callOptions));
      } finally {
        release();
      }
    },

    async pullBlob(repositories, descriptor, store, callOptions) {
      const call = withSignal(callOptions);
      const endpoints = (await Promise.all(repositories.map(hosts))).flat();
      if (endpoints[0] === undefined) {
        throw new BuildError({ code: 'registry', message: `no registry is known to have blob ${descriptor.digest}` });
      }
      const release = await turn(endpoints[0].host, call.signal);
      try {
        await pullBlob(client, endpoints, descriptor, store, call);
      } finally {
        release();
      }
    },

    async hasBlob(repository, digest, callOptions) {
      const endpoint = await home(repository);
      return hasBlob(client, endpoint, digest, [`repository:${endpoint.path}:pull`], withSignal(callOptions));
    },

    async pushBlob(repository, blob, callOptions) {
      const call = withSignal(callOptions);
      const endpoint = await home(repository);
      const others = (callOptions?.mountFrom ?? []).filter((from) => from !== repository);
      const mountFrom = (await Promise.all(others.map(home)))
        .filter((from) => from.host === endpoint.host)
        .map((from) => from.path);
      const release = await turn(endpoint.host, call.signal);
      try {
        return await pushBlob(client, endpoint, blob, mountFrom, call);
      } finally {
        release();
      }
    },

    async pushGrowingBlob(repository, blob, callOptions) {
      const call = withSignal(callOptions);
      const endpoint = await home(repository);
      const release = await turn(endpoint.host, call.signal);
      try {
        await pushGrowingBlob(client, endpoint, blob, call);
      } finally {
        release();
      }
    },

    async ownManifest(repository, reference, callOptions) {
      checkReference(reference);
      return ownManifest(client, await home(repository), reference, MANIFEST_ACCEPT, withSignal(callOptions));
    },

    async removeTag(repository, tag, callOptions) {
      checkReference(tag);
      await removeTag(client, await home(repository), tag, withSignal(callOptions));
    },

    async referrers(repository, digest, callOptions) {
      const { listReferrers } = await import('./referrers.ts');
      return listReferrers(client, await home(repository), digest, withSignal(callOptions));
    },

    async pushReferrer(repository, manifest, callOptions) {
      const { pushReferrer } = await import('./referrers.ts');
      return pushReferrer(client, await home(repository), manifest, withSignal(callOptions));
    },

    async pushManifest(repository, reference, manifest, callOptions) {
      checkReference(reference);
      return pushManifest(client, await home(repository), reference, manifest, withSignal(callOptions));
    },

    http: async (url, request = {}) => {
      const { method = 'GET', headers, signal } = request;
      return client.get(url, { method, headers, signal: withSignal({ signal }).signal });
    },

    close: () => client.close(),
  };
}

/**
 * Asks one endpoint after the other. The registry's own failure is the one reported, with what its mirrors said; when
 * it cannot be reached, a mirror's clear "not found" counts more.
 */
async function fromSome<T>(endpoints: readonly Endpoint[], attempt: (endpoint: Endpoint) => Promise<T>): Promise<T> {
  const failures: { readonly endpoint: Endpoint; readonly error: BuildError }[] = [];
  for (const endpoint of endpoints) {
    try {
      return await attempt(endpoint);
    } catch (error) {
      if (!(error instanceof BuildError) || error.code === 'cancelled') throw error;
      failures.push({ endpoint, error });
    }
  }
  const own = failures.pop();
  if (own === undefined) throw new BuildError({ code: 'internal', message: 'no registry to ask' });
  if (failures.length === 0) throw own.error;
  const missing = failures.find(({ error }) => error.code === 'image-not-found');
  const main = own.error.code === 'registry' && missing !== undefined ? missing : own;
  const others = [...failures, own].filter((failure) => failure !== main);
  throw new BuildError({
    ...main.error.toInit(),
    detail: [
      ...main.error.detail,
      ...others.flatMap(({ endpoint, error }) => [
        `${endpoint.mirror ? `mirror ${endpoint.host}` : endpoint.host}: ${error.message}`,
        ...error.detail,
      ]),
    ],
  });
}

function nameOf(repository: string, reference: string): string {
  return isDigest(reference) ? `${repository}@${reference}` : `${repository}:${reference}`;
}

/** Tags and digests go into a URL path; anything else must not. */
function checkReference(reference: string): void {
  if (isDigest(reference) || /^\w[\w.-]{0,127}$/.test(reference)) return;
  throw new BuildError({ code: 'usage', message: `${JSON.stringify(reference)} is neither a tag nor a sha256 digest` });
}

interface Settings {
  readonly mirrors: Mirrors;
  readonly insecure: readonly string[];
}

/** What was said for this build comes before what the machine's files say. */
async function mergeSettings(given: Settings, env: Env): Promise<Settings> {
  const configured = await readHostConfig(env);
  const mirrors = new Map(configured.mirrors);
  for (const [registry, hosts] of given.mirrors) {
    mirrors.set(registry, [...new Set([...hosts, ...(configured.mirrors.get(registry) ?? [])])]);
  }
  return { mirrors, insecure: [...given.insecure, ...configured.insecure] };
}
