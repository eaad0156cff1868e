import type { Digest } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import { digestOf } from '../image/index.ts';
import type { Client, ClientResponse } from './client.ts';
import type { Endpoint } from './endpoints.ts';
import { digestMismatch, hostile } from './errors.ts';
import { isTransientFailure, sleep, waitBefore } from './retry.ts';
import type { BlobSource, CallOptions } from './types.ts';

/** A registry hashes and moves a large blob before it answers the PUT that ends it: milliseconds. */
const COMMIT_TIMEOUT = 600_000;

function pushScopes(endpoint: Endpoint, mountFrom?: string): readonly string[] {
  const own = `repository:${endpoint.path}:pull,push`;
  return mountFrom === undefined ? [own] : [own, `repository:${mountFrom}:pull`];
}

/** HEAD of a blob (distribution-spec, Checking if content exists). */
export async function hasBlob(
  client: Client,
  endpoint: Endpoint,
  digest: Digest,
  scopes: readonly string[],
  options: CallOptions,
): Promise<boolean> {
  const response = await client.send(endpoint, {
    method: 'HEAD',
    target: `/blobs/${digest}`,
    what: `blob ${digest} of ${endpoint.path}`,
    scopes,
    expect: [200, 404],
    signal: options.signal,
  });
  await response.drain();
  return response.status === 200;
}

/**
 * Uploads a blob: not at all where it is there or another repository of the registry has it, else POST then one PUT
 * (distribution-spec, Pushing a blob monolithically; Mounting a blob). A cut upload starts anew.
 *
 * @param mountFrom Repository paths on the same registry.
 */
export async function pushBlob(
  client: Client,
  endpoint: Endpoint,
  blob: BlobSource,
  mountFrom: readonly string[],
  options: CallOptions,
): Promise<'exists' | 'mounted' | 'pushed'> {
  if (await hasBlob(client, endpoint, blob.digest, pushScopes(endpoint), options)) return 'exists';
  for (let tries = 0; ; tries++) {
    const location = await startUpload(client, endpoint, blob.digest, tries === 0 ? mountFrom : [], options);
    if (location === 'mounted') return 'mounted';
    try {
      await upload(client, endpoint, location, blob, options);
      return 'pushed';
    } catch (error) {
      const mayPass = error instanceof BuildError && isTransientFailure(error.cause);
      if (!mayPass || tries >= client.limits.retries) throw error;
      await sleep(waitBefore(tries, client.limits), options.signal);
    }
  }
}

/** Opens an upload session; returns where to send the bytes. */
async function startUpload(
  client: Client,
  endpoint: Endpoint,
  digest: Digest,
  mountFrom: readonly string[],
  options: CallOptions,
): Promise<string> {
  let location: string | undefined;
  // A registry that cannot mount opens a session instead (202), which will do.
  for (const from of mountFrom.length === 0 ? [undefined] : mountFrom) {
    const query = from === undefined ? '' : `?mount=${digest}&from=${encodeURIComponent(from)}`;
    let response: ClientResponse;
    try {
      response = await client.send(endpoint, {
        method: 'POST',
        target: `/blobs/uploads/${query}`,
        what: `an upload to ${endpoint.path}`,
        scopes: pushScopes(endpoint, from),
        headers: { 'content-length': '0' },
        expect: [201, 202],
        signal: options.signal,
      });
    } catch (error) {
      // A repository that we may not read, or a registry that knows no mounts, refuses; then the bytes are sent.
      if (from !== undefined && error instanceof BuildError && error.code !== 'cancelled') continue;
      throw error;
    }
    await response.drain();
    if (response.status === 201) {
      if (from !== undefined) return 'mounted';
      throw hostile('an upload', endpoint.host, 'it was complete before it began');
    }
    location = uploadUrl(response, endpoint);
  }
  return location ?? startUpload(client, endpoint, digest, [], options);
}

async function upload(
  client: Client,
  endpoint: Endpoint,
  location: string,
  blob: BlobSource,
  options: CallOptions,
): Promise<void> {
  const url = new URL(location);
  url.searchParams.set('digest', blob.digest);
  const response = await client.send(endpoint, {
    method: 'PUT',
    target: url.href,
    what: `blob ${blob.digest} to ${endpoint.path}`,
    scopes: pushScopes(endpoint),
    headers: { 'content-type': 'application/octet-stream' },
    body: { size: blob.size, open: () => counted(blob, options) },
    expect: [201, 204],
    signal: options.signal,
    headersTimeout: COMMIT_TIMEOUT,
    retry: false,
  });
  await response.drain();
}

/** Never sends more than was promised; fewer bytes fail the request. */
async function* counted(blob: BlobSource, options: CallOptions): AsyncGenerator<Uint8Array, void, undefined> {
  let sent = 0;
  for await (const part of blob.open()) {
    sent += part.length;
    if (sent > blob.size) throw digestMismatch('a blob', 'the store', 'more bytes', blob.digest);
    yield part;
    options.onProgress?.(sent);
  }
}

function uploadUrl(response: ClientResponse, endpoint: Endpoint): string {
  const location = response.headers['location'];
  if (location === undefined || !URL.canParse(location, response.url)) {
    throw hostile('an upload', endpoint.host, 'it has no place to send the bytes to');
  }
  const url = new URL(location, response.url);
  const asked = new URL(response.url);
  // Registries behind a TLS proxy often believe that they speak plain http.
  if (url.hostname === asked.hostname && url.protocol !== asked.protocol) {
    url.protocol = asked.protocol;
    url.port = asked.port;
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw hostile('an upload', endpoint.host, `it leads to ${url.protocol}`);
  }
  if (url.protocol === 'http:' && asked.protocol === 'https:') {
    throw hostile('an upload', endpoint.host, 'it leads from https to plain http');
  }
  return url.href;
}

/** PUT of a manifest (distribution-spec, Pushing Manifests). */
export async function pushManifest(
  client: Client,
  endpoint: Endpoint,
  reference: string,
  manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
  options: CallOptions,
): Promise<Digest> {
  const digest = digestOf(manifest.bytes);
  const response = await client.send(endpoint, {
    method: 'PUT',
    target: `/manifests/${reference}`,
    what: `the manifest of ${endpoint.path}:${reference}`,
    scopes: pushScopes(endpoint),
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
    expect: [200, 201, 202],
    signal: options.signal,
  });
  await response.drain();
  const stored = response.headers['docker-content-digest'];
  if (stored !== undefined && stored !== digest) {
    throw digestMismatch(`the manifest stored for ${reference}`, endpoint.host, stored, digest);
  }
  return digest;
}
