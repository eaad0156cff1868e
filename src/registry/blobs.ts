import { createHash } from 'node:crypto';
import { BuildError } from '../contracts/index.ts';
import type { Descriptor } from '../image/index.ts';
import type { BlobWriter, Store } from '../store/index.ts';
import type { Client, ClientResponse } from './client.ts';
import type { Endpoint } from './endpoints.ts';
import { cancelled, digestMismatch, failureError } from './errors.ts';
import { BODY_CUT, TOO_SLOW, coded, failureCode, isTransientFailure, sleep, waitBefore } from './retry.ts';
import type { CallOptions } from './types.ts';

type Wanted = Pick<Descriptor, 'digest' | 'size'>;

/**
 * A blob as a stream, resumed where a connection was cut, from the same host or the next: the bytes are the same
 * wherever they come from, since the digest over all of them is checked at the end.
 *
 * @throws BuildError `digest-mismatch` at the latest with the last piece; `image-not-found`, `registry`, `auth`
 */
export async function* readBlob(
  client: Client,
  endpoints: readonly Endpoint[],
  wanted: Wanted,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256');
  for await (const part of downloadBlob(client, endpoints, wanted, options)) {
    hash.update(part);
    yield part;
  }
  const found = `sha256:${hash.digest('hex')}`;
  const host = endpoints[0]?.host ?? '';
  if (found !== wanted.digest) throw digestMismatch('a blob', host, found, wanted.digest);
}

/** {@link readBlob} into the store, which checks the digest. A mirror with wrong bytes is passed over. */
export async function pullBlob(
  client: Client,
  endpoints: readonly Endpoint[],
  wanted: Wanted,
  store: Store,
  options: CallOptions,
): Promise<void> {
  if (store.hasBlob(wanted.digest)) return;
  let remaining = endpoints;
  for (;;) {
    const writer = await store.createBlob();
    try {
      await copy(downloadBlob(client, remaining, wanted, options), writer);
      await writer.commit(wanted);
      return;
    } catch (error) {
      await writer.abort();
      const damaged = error instanceof BuildError && error.code === 'digest-mismatch';
      if (!damaged || remaining.length < 2) throw damaged ? naming(error, remaining) : error;
      remaining = remaining.slice(1);
    }
  }
}

async function copy(parts: AsyncIterable<Uint8Array>, writer: BlobWriter): Promise<void> {
  for await (const part of parts) await writer.write(part);
}

/** Size is checked in passing, the digest is not. */
export async function* downloadBlob(
  client: Client,
  endpoints: readonly Endpoint[],
  wanted: Wanted,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let received = 0;
  let failure: unknown;
  for (const endpoint of endpoints) {
    for (let tries = 0; received < wanted.size || wanted.size === 0;) {
      const before = received;
      try {
        for await (const part of requestBlob(client, endpoint, wanted, received, options)) {
          received += part.length;
          if (received > wanted.size) throw digestMismatch('a blob', endpoint.host, 'more bytes', wanted.digest);
          options.onProgress?.(received);
          yield part;
        }
        if (received === wanted.size) return;
        throw coded(BODY_CUT, 'the body ended early');
      } catch (error) {
        if (options.signal?.aborted === true) throw cancelled(options.signal);
        if (error instanceof BuildError && error.code === 'digest-mismatch') throw error;
        failure = error instanceof BuildError ? error : failureError(`blob ${wanted.digest}`, endpoint.host, error);
        // `send` has had its own tries; a cut in the middle of the body is ours.
        if (error instanceof BuildError || !isTransientFailure(error)) break;
        if (received > before && failureCode(error) !== TOO_SLOW) tries = 0;
        if (++tries > client.limits.retries) break;
        await sleep(waitBefore(tries - 1, client.limits), options.signal).catch(() => {
          throw cancelled(options.signal);
        });
      }
    }
  }
  throw failure;
}

/** The bytes from `offset` on (RFC 9110, 14.2); a server without ranges sends all, of which the start is skipped. */
async function* requestBlob(
  client: Client,
  endpoint: Endpoint,
  wanted: Wanted,
  offset: number,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const response = await client.send(endpoint, {
    method: 'GET',
    target: `/blobs/${wanted.digest}`,
    what: `blob ${wanted.digest} of ${endpoint.path}`,
    scopes: [`repository:${endpoint.path}:pull`],
    // Digests are of the bytes as stored: no transfer compression.
    headers: { 'accept-encoding': 'identity', ...(offset > 0 ? { range: `bytes=${offset}-` } : {}) },
    expect: offset > 0 ? [200, 206] : [200],
    signal: options.signal,
  });
  let skip = offset - startOf(response, endpoint, wanted);
  for await (const part of response.body) {
    if (skip >= part.length) {
      skip -= part.length;
      continue;
    }
    yield skip === 0 ? part : part.subarray(skip);
    skip = 0;
  }
}

function startOf(response: ClientResponse, endpoint: Endpoint, wanted: Wanted): number {
  const length = response.headers['content-length'];
  if (response.status === 200) {
    // Told at once rather than after the download.
    if (length !== undefined && Number(length) !== wanted.size) {
      throw digestMismatch(
        'a blob',
        endpoint.host,
        `${Number(length)} bytes`,
        `${wanted.size} bytes, ${wanted.digest}`,
      );
    }
    return 0;
  }
  const start = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1];
  if (start === undefined) throw digestMismatch('a blob', endpoint.host, 'another range', wanted.digest);
  return Number(start);
}

function naming(error: BuildError, endpoints: readonly Endpoint[]): BuildError {
  const host = endpoints[0]?.host ?? '';
  return new BuildError({
    ...error.toInit(),
    message: error.message.includes(host) ? error.message : `${error.message} (from ${host})`,
    hint: error.hint ?? 'the registry, a mirror or a proxy in between serves damaged or altered content',
  });
}
