import { createHash } from 'node:crypto';
import type { ContentLocation, Digest } from '../../contracts/index.ts';
import type { Store } from '../../store/index.ts';

/** Up to this size a file of an archive may stay in memory. */
const SMALL_BYTES = 64 << 10;
/** What all of them together may take: a file costs 0.3 ms to make, and most are never needed as files. */
const MEMORY_BYTES = 32 << 20;

/** What a file's bytes are, and where they were put. */
export interface Kept {
  readonly size: number;
  readonly digest: Digest;
  readonly location: ContentLocation;
}

/** Keeps the bytes of files that come out of archives: small ones in memory while there is room, others in the store. */
export interface Contents {
  /** Reads `body` to its end. */
  keep(body: AsyncIterable<Uint8Array>): Promise<Kept>;
}

export function createContents(store: Store): Contents {
  let room = MEMORY_BYTES;

  const inStore = async (head: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): Promise<Kept> => {
    const writer = await store.createFile();
    try {
      for (const piece of head) await writer.write(piece);
      for (let next = await rest.next(); next.done !== true; next = await rest.next()) await writer.write(next.value);
      const { digest, size } = await writer.commit();
      return { digest, size, location: { kind: 'file', path: store.filePath(digest) } };
    } catch (error) {
      await writer.abort();
      throw error;
    }
  };

  return {
    async keep(body) {
      const pieces = body[Symbol.asyncIterator]();
      const head: Uint8Array[] = [];
      let size = 0;
      for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
        // A piece is the reader's own once the next one is asked for.
        head.push(Uint8Array.from(next.value));
        size += next.value.byteLength;
        if (size > SMALL_BYTES || size > room) return inStore(head, pieces);
      }
      room -= size;
      const data = Buffer.concat(head, size);
      const digest: Digest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
      return { size, digest, location: { kind: 'bytes', data } };
    },
  };
}
