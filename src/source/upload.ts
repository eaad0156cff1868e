/** Streams that a build brings along: buildx sends a tar from standard input to the daemon under such a URL. */
import { statSync } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import type { Digest } from '../contracts/index.ts';
import type { Store } from '../store/index.ts';
import { cancelled } from './cancelled.ts';

/** BuildKit's host for them (session/upload), which no name server knows. */
const PREFIX = 'http://buildkit-session/';

/** Keeps the stream as a file of the store. The URL tells its digest, so that equal streams are equal sources. */
export async function takeUpload(
  stream: AsyncIterable<Uint8Array>,
  store: Store,
  signal: AbortSignal,
): Promise<string> {
  const writer = await store.createFile();
  try {
    for await (const part of stream) {
      if (signal.aborted) throw cancelled(signal);
      await writer.write(part);
    }
    const { digest } = await writer.commit();
    return PREFIX + digest.slice('sha256:'.length);
  } catch (error) {
    await writer.abort();
    throw error instanceof BuildError
      ? error
      : new BuildError({ code: 'context', message: 'standard input cannot be read', cause: error });
  }
}

export function isUpload(url: string): boolean {
  return url.startsWith(PREFIX);
}

/** What such a URL names; undefined for others. */
export function findUpload(url: string, store: Store): { readonly digest: Digest; readonly size: number } | undefined {
  const hex = isUpload(url) ? url.slice(PREFIX.length) : '';
  if (!/^[0-9a-f]{64}$/.test(hex)) return undefined;
  const digest: Digest = `sha256:${hex}`;
  if (!store.hasFile(digest)) {
    throw new BuildError({ code: 'context', message: 'what came from standard input is no longer in the store' });
  }
  return { digest, size: statSync(store.filePath(digest)).size };
}
