import { createReadStream } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { Store } from '../../store/index.ts';
import type { CacheBlob } from './collect.ts';

/** Brings a blob here when it is still in a registry. */
export async function fetchBlob({ layer, blob }: CacheBlob, store: Store): Promise<void> {
  if (store.hasBlob(blob.digest)) return;
  await layer.blob();
  if (store.hasBlob(blob.digest)) return;
  throw new BuildError({ code: 'store', message: `the blob ${blob.digest} is not in the store` });
}

/** Its bytes; fetched only when a destination has not got it. */
export async function* readBlob(blob: CacheBlob, store: Store): AsyncGenerator<Uint8Array, void, undefined> {
  await fetchBlob(blob, store);
  const path = store.blobPath(blob.blob.digest);
  yield* createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>;
}

export async function* bytesOf(data: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield data;
}
