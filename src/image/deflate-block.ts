/** One block of a deflate stream (RFC 1951) that ends on a byte, so that blocks made apart can be joined. */
import { constants, createDeflateRaw, deflateRawSync } from 'node:zlib';
import { encodeBlock } from './encode-block.ts';

/** Longest stored block. */
const STORED_MAX = 0xffff;
const SAMPLE_PIECES = 16;
const SAMPLE_PIECE = 4096;
/** Bits a byte over which bytes are taken for noise, that is, compressed or encrypted already. */
const NOISE_BITS = 7.95;
const PROBE = 16 * 1024;

/**
 * The output for `block`.
 * @param dictionary What came before, at most 32 KiB.
 */
export function deflateBlock(block: Uint8Array, level: number, dictionary: Uint8Array): Promise<Uint8Array> {
  if (looksIncompressible(block)) return Promise.resolve(storedBlocks(block));
  const encoder = createDeflateRaw({
    level,
    ...(dictionary.length > 0 ? { dictionary } : {}),
    flush: constants.Z_SYNC_FLUSH,
    // More than deflate makes of noise.
    chunkSize: block.length + 1024,
  });
  return encodeBlock(encoder, block);
}

/**
 * Whether compressing would be a waste: archives, images and wheels are half of many layers. A sample of 64 KiB has to
 * look like noise byte by byte, and a piece of it not to shrink (counters and tables look like noise byte by byte too).
 */
export function looksIncompressible(block: Uint8Array): boolean {
  if (block.length < SAMPLE_PIECES * SAMPLE_PIECE) return false;
  const counts = new Uint32Array(256);
  const stride = Math.floor((block.length - SAMPLE_PIECE) / (SAMPLE_PIECES - 1));
  for (let piece = 0; piece < SAMPLE_PIECES; piece++) {
    const from = piece * stride;
    for (let i = from; i < from + SAMPLE_PIECE; i++) {
      const byte = block[i] ?? 0;
      counts[byte] = (counts[byte] ?? 0) + 1;
    }
  }
  if (entropyOf(counts, SAMPLE_PIECES * SAMPLE_PIECE) < NOISE_BITS) return false;
  const middle = Math.floor((block.length - PROBE) / 2);
  return deflateRawSync(block.subarray(middle, middle + PROBE), { level: 1 }).length > PROBE * 0.97;
}

/** Shannon entropy in bits a byte. */
function entropyOf(counts: Uint32Array, total: number): number {
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / total) * Math.log2(count / total);
  return bits;
}

function storedBlocks(block: Uint8Array): Uint8Array {
  const pieces = Math.ceil(block.length / STORED_MAX);
  const out = Buffer.allocUnsafeSlow(block.length + 5 * pieces);
  let to = 0;
  for (let from = 0; from < block.length; from += STORED_MAX) {
    const length = Math.min(STORED_MAX, block.length - from);
    out[to] = 0;
    out.writeUInt16LE(length, to + 1);
    out.writeUInt16LE(~length & 0xffff, to + 3);
    out.set(block.subarray(from, from + length), to + 5);
    to += 5 + length;
  }
  return out;
}
