/** Bytes of a block: a write to disk and a turn of everything behind it take their time whatever their size. */
export const BLOCK_SIZE = 512 * 1024;

/**
 * What a network brings in small parts, in blocks. Each is gone once the next one is asked for; so are the parts.
 */
export async function* inBlocks(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const block = Buffer.allocUnsafeSlow(BLOCK_SIZE);
  let used = 0;
  for await (const part of parts) {
    for (let from = 0; from < part.length;) {
      const length = Math.min(part.length - from, BLOCK_SIZE - used);
      block.set(part.subarray(from, from + length), used);
      used += length;
      from += length;
      if (used < BLOCK_SIZE) continue;
      yield block;
      used = 0;
    }
    release(part);
  }
  if (used > 0) yield block.subarray(0, used);
}

/**
 * Frees the memory of a part that has it for itself. Left to the collector, it piles up until V8 goes through all that
 * there is: ten times for a layer of 200 MB, a twentieth of a pull's processor time.
 */
function release({ buffer, length }: Uint8Array): void {
  if (length === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
