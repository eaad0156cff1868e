import type { DeflateRaw, ZstdCompress } from 'node:zlib';

/**
 * What a fresh encoder makes of one block. Its `flush` must be one that ends the block. When its `chunkSize` has room for
 * all of it, it is one trip to the thread pool and no copy, where the functions of node:zlib that take a whole buffer make
 * two trips and join the results.
 */
export function encodeBlock(encoder: DeflateRaw | ZstdCompress, block: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    encoder.on('error', reject);
    encoder.on('data', (piece: Buffer) => pieces.push(piece));
    encoder.write(block, () => {
      // There is nothing to end: an end would add an empty frame.
      encoder.destroy();
      const [first, ...rest] = pieces;
      if (first === undefined) reject(new RangeError('an encoder was flushed and gave nothing'));
      else resolve(rest.length === 0 ? first : Buffer.concat(pieces));
    });
  });
}

/** Node's own pool of memory for small buffers is far smaller. Bytes. */
const OWN_MEMORY = 1 << 20;

/**
 * Gives the memory of a large result back. Left to V8, tens of megabytes of such results would lie about, and it would
 * collect all the time to get rid of them.
 */
export function dropBlock({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= OWN_MEMORY) buffer.transfer(0);
}
