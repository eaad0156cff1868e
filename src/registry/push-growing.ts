import { BuildError } from '../contracts/index.ts';
import type { GrowingBlob } from '../store/index.ts';
import type { Client } from './client.ts';
import type { Endpoint } from './endpoints.ts';
import { cancelled } from './errors.ts';
import { COMMIT_TIMEOUT, pushScopes, startUpload, upload, uploadUrl, whereWasIt } from './push.ts';
import type { Session } from './push.ts';
import { isTransientFailure } from './retry.ts';
import type { BlobSource, CallOptions } from './types.ts';

/** A session that nobody ends is forgotten by the registry some day: not worth a long wait. Milliseconds. */
const DROP_TIMEOUT = 1000;

/**
 * Uploads a blob while it is made: POST, one PATCH of unknown length, PUT with the digest that is known then, as docker
 * does (distribution-spec, Pushing a blob in chunks). The bytes are read from where they are written, so that a slow line
 * keeps nobody from writing on. An upload that is cut goes on once the blob is whole, as that of any other.
 *
 * @throws BuildError also when nothing comes of the blob; what the registry has of it is dropped then.
 */
export async function pushGrowingBlob(
  client: Client,
  endpoint: Endpoint,
  blob: GrowingBlob,
  options: CallOptions,
): Promise<void> {
  const begun = { location: await startUpload(client, endpoint, undefined, [], options), offset: 0 };
  let sent: Session | undefined;
  try {
    sent = await sendAsItGrows(client, endpoint, begun, blob, options);
    if (options.signal?.aborted === true) throw cancelled(options.signal);
    const { digest, size } = await blob.whole;
    // Of what was cut, or answered too early, the registry knows best how much it has.
    const known = sent?.offset === size ? sent : await whereWasIt(client, endpoint, begun, options);
    const session = known !== undefined && known.offset > size ? undefined : known;
    const source: BlobSource = { digest, size, open: () => blob.read(0), openAt: (start) => blob.read(start) };
    await upload(client, endpoint, source, session, options);
  } catch (error) {
    await drop(client, endpoint, sent ?? begun);
    throw error;
  }
}

/**
 * When nothing comes of the blob, or nobody wants it, the request ends as any other: some registries delete an upload only
 * under the place that they gave it last.
 *
 * @returns undefined when it was cut.
 */
async function sendAsItGrows(
  client: Client,
  endpoint: Endpoint,
  { location }: Session,
  blob: GrowingBlob,
  options: CallOptions,
): Promise<Session | undefined> {
  let offset = 0;
  // Again from the start for a registry that wants another login.
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    offset = 0;
    try {
      for await (const part of blob.read(0, options.signal)) {
        yield part;
        offset += part.length;
        options.onProgress?.(offset);
      }
    } catch {
      // `whole` says why.
    }
  }
  try {
    const response = await client.send(endpoint, {
      method: 'PATCH',
      target: location,
      what: `a layer to ${endpoint.path}`,
      scopes: pushScopes(endpoint),
      headers: { 'content-type': 'application/octet-stream' },
      body: { size: undefined, open: bytes },
      expect: [201, 202, 204],
      signal: delayed(options.signal),
      headersTimeout: COMMIT_TIMEOUT,
      retry: false,
    });
    await response.drain();
    return { location: uploadUrl(response, endpoint), offset };
  } catch (error) {
    if (error instanceof BuildError && isTransientFailure(error.cause)) return undefined;
    throw error;
  }
}

/** Leaves time to end well. */
function delayed(signal: AbortSignal | undefined): AbortSignal {
  const later = new AbortController();
  const stop = (): void => void setTimeout(() => later.abort(signal?.reason), DROP_TIMEOUT).unref();
  if (signal?.aborted === true) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  return later.signal;
}

/** Deletes an upload that comes to nothing (no clause of distribution-spec; registries of Docker's line know it). */
async function drop(client: Client, endpoint: Endpoint, { location }: Session): Promise<void> {
  try {
    const response = await client.send(endpoint, {
      method: 'DELETE',
      target: location,
      what: `an upload to ${endpoint.path}`,
      scopes: pushScopes(endpoint),
      expect: [200, 202, 204, 404],
      // Also when everything else was cancelled.
      signal: AbortSignal.timeout(DROP_TIMEOUT),
      retry: false,
    });
    await response.drain();
  } catch {
    // The registry forgets it some day.
  }
}
