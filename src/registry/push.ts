import type { Digest } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import { MANIFEST_SIZE_MAX, digestOf } from '../image/index.ts';
import type { Client, ClientResponse } from './client.ts';
import type { Endpoint } from './endpoints.ts';
import { cancelled, digestMismatch, hostile } from './errors.ts';
import { TRANSIENT_STATUS, isTransientFailure, sleep, waitBefore } from './retry.ts';
import { readBody } from './transport.ts';
import type { BlobSource, CallOptions } from './types.ts';

/** A larger blob is sent so that a cut costs only what was lost; a smaller one with one request less. Bytes. */
const RESUMED_FROM = 4 * 1024 * 1024;
/** A registry hashes and moves a large blob before it answers the PUT that ends it: milliseconds. */
export const COMMIT_TIMEOUT = 600_000;

export function pushScopes(endpoint: Endpoint, mountFrom?: string): readonly string[] {
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
 * Uploads a blob: not at all where it is there or another repository of the registry has it, else POST then one PUT, a
 * large one POST, PATCH, PUT, so that a cut upload goes on where the registry says that it was cut (distribution-spec,
 * Pushing blobs; Mounting a blob).
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
  const started = await startUpload(client, endpoint, blob.digest, mountFrom, options);
  if (started === 'mounted') return 'mounted';
  await upload(client, endpoint, blob, { location: started, offset: 0 }, options);
  return 'pushed';
}

/** @param begun Where it is to go on; undefined = it begins anew. */
export async function upload(
  client: Client,
  endpoint: Endpoint,
  blob: BlobSource,
  begun: Session | undefined,
  options: CallOptions,
): Promise<void> {
  const isLarge = blob.size >= RESUMED_FROM;
  let session = begun;
  for (let tries = 0; ; tries++) {
    session ??= { location: await startUpload(client, endpoint, blob.digest, [], options), offset: 0 };
    try {
      const sent: Session = isLarge ? await sendChunk(client, endpoint, session, blob, options) : session;
      await finish(client, endpoint, sent, blob, options);
      return;
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      const isLost = error.code === 'image-not-found';
      if (!(isLost || isTransientFailure(error.cause)) || tries >= client.limits.retries) throw error;
      await sleep(waitBefore(tries, client.limits), options.signal).catch(() => {
        throw cancelled(options.signal);
      });
      const known: Session | undefined =
        isLost || !isLarge ? undefined : await whereWasIt(client, endpoint, session, options);
      // As with downloads: what gets on is not given up.
      if (known !== undefined && known.offset > session.offset) tries = -1;
      // Bytes that nobody sent make it useless.
      session = known !== undefined && known.offset > blob.size ? undefined : known;
    }
  }
}

/** An upload that was begun. */
export interface Session {
  readonly location: string;
  /** Bytes that the registry has. */
  readonly offset: number;
}

/** Opens an upload session; returns where to send the bytes. */
export async function startUpload(
  client: Client,
  endpoint: Endpoint,
  digest: Digest | undefined,
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

/** Sends what the registry lacks as one chunk; the first without a range, as docker sends it. */
async function sendChunk(
  client: Client,
  endpoint: Endpoint,
  session: Session,
  blob: BlobSource,
  options: CallOptions,
): Promise<Session> {
  const { offset } = session;
  if (offset >= blob.size) return session;
  const response = await client.send(endpoint, {
    method: 'PATCH',
    target: session.location,
    what: `blob ${blob.digest} to ${endpoint.path}`,
    scopes: pushScopes(endpoint),
    headers: {
      'content-type': 'application/octet-stream',
      ...(offset === 0 ? {} : { 'content-range': `${offset}-${blob.size - 1}` }),
    },
    body: { size: blob.size - offset, open: () => counted(blob, offset, options) },
    expect: [201, 202, 204, 416],
    signal: options.signal,
    headersTimeout: COMMIT_TIMEOUT,
    retry: false,
  });
  await response.drain();
  if (response.status === 416) {
    // It has another number of bytes than it said, and is asked again.
    const message = `${endpoint.host} wants another part of blob ${blob.digest}`;
    throw new BuildError({
      code: 'registry',
      message,
      cause: Object.assign(new Error(message), { code: TRANSIENT_STATUS }),
    });
  }
  return { location: uploadUrl(response, endpoint), offset: blob.size };
}

async function finish(
  client: Client,
  endpoint: Endpoint,
  { location, offset }: Session,
  blob: BlobSource,
  options: CallOptions,
): Promise<void> {
  const url = new URL(location);
  url.searchParams.set('digest', blob.digest);
  const left = blob.size - offset;
  const response = await client.send(endpoint, {
    method: 'PUT',
    target: url.href,
    what: `blob ${blob.digest} to ${endpoint.path}`,
    scopes: pushScopes(endpoint),
    headers: left === 0 && blob.size > 0 ? { 'content-length': '0' } : { 'content-type': 'application/octet-stream' },
    body: left === 0 && blob.size > 0 ? undefined : { size: left, open: () => counted(blob, offset, options) },
    expect: [201, 204],
    signal: options.signal,
    headersTimeout: COMMIT_TIMEOUT,
    retry: false,
  });
  await response.drain();
}

/** How far an upload came (distribution-spec, Get upload status); undefined when the registry has forgotten it. */
export async function whereWasIt(
  client: Client,
  endpoint: Endpoint,
  { location }: Pick<Session, 'location'>,
  options: CallOptions,
): Promise<Session | undefined> {
  try {
    const response = await client.send(endpoint, {
      method: 'GET',
      target: location,
      what: `an upload to ${endpoint.path}`,
      scopes: pushScopes(endpoint),
      expect: [200, 204],
      signal: options.signal,
    });
    await response.drain();
    const last = /^(?:bytes=)?0-(\d+)$/.exec(response.headers['range'] ?? '')?.[1];
    // `0-0` is what an upload without a byte has, too.
    const offset = last === undefined || last === '0' ? 0 : Number(last) + 1;
    return { location: response.headers['location'] === undefined ? location : uploadUrl(response, endpoint), offset };
  } catch (error) {
    if (error instanceof BuildError && error.code === 'cancelled') throw error;
    return undefined;
  }
}

/** Never sends more than was promised; fewer bytes fail the request. */
async function* counted(
  blob: BlobSource,
  start: number,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sent = start;
  for await (const part of from(blob, start)) {
    sent += part.length;
    if (sent > blob.size) throw digestMismatch('a blob', 'the store', 'more bytes', blob.digest);
    yield part;
    options.onProgress?.(sent);
  }
}

async function* from(blob: BlobSource, start: number): AsyncGenerator<Uint8Array, void, undefined> {
  if (start === 0 || blob.openAt !== undefined) {
    yield* blob.openAt === undefined ? blob.open() : blob.openAt(start);
    return;
  }
  let skip = start;
  for await (const part of blob.open()) {
    if (skip < part.length) yield skip === 0 ? part : part.subarray(skip);
    skip = Math.max(0, skip - part.length);
  }
}

export function uploadUrl(response: ClientResponse, endpoint: Endpoint): string {
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

/** PUT of a manifest (distribution-spec, Pushing Manifests). @returns Its digest. */
export async function pushManifest(
  client: Client,
  endpoint: Endpoint,
  reference: string,
  manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
  options: CallOptions,
): Promise<Digest> {
  return (await putManifest(client, endpoint, reference, manifest, options)).digest;
}

/** @returns `subject`: the registry has taken note of what the manifest refers to. */
export async function putManifest(
  client: Client,
  endpoint: Endpoint,
  reference: string,
  manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
  options: CallOptions,
): Promise<{ readonly digest: Digest; readonly subject: string | undefined }> {
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
  return { digest, subject: response.headers['oci-subject'] };
}

/** The manifest as the registry has it; undefined = it has none. */
export async function ownManifest(
  client: Client,
  endpoint: Endpoint,
  reference: string,
  accept: string,
  options: CallOptions,
): Promise<{ readonly mediaType: string; readonly digest: Digest; readonly bytes: Uint8Array } | undefined> {
  const what = `the manifest of ${endpoint.path}:${reference}`;
  const response = await client.send(endpoint, {
    method: 'GET',
    target: `/manifests/${reference}`,
    what,
    scopes: pushScopes(endpoint),
    headers: { accept },
    expect: [200, 404],
    signal: options.signal,
  });
  if (response.status === 404) {
    await response.drain();
    return undefined;
  }
  const bytes = await readBody(response, MANIFEST_SIZE_MAX);
  if (bytes === undefined) throw hostile(what, endpoint.host, 'it is larger than 4 MiB');
  const mediaType = response.headers['content-type']?.split(';')[0]?.trim() ?? '';
  return { mediaType, digest: digestOf(bytes), bytes };
}

/** DELETE of a tag (distribution-spec, Deleting tags). */
export async function removeTag(client: Client, endpoint: Endpoint, tag: string, options: CallOptions): Promise<void> {
  const response = await client.send(endpoint, {
    method: 'DELETE',
    target: `/manifests/${tag}`,
    what: `the tag ${endpoint.path}:${tag}`,
    scopes: [`repository:${endpoint.path}:pull,push,delete`],
    expect: [200, 202, 204, 404],
    signal: options.signal,
    retry: false,
  });
  await response.drain();
}
