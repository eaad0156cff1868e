/**
 * The fields of a tar header block (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar's base-256 numbers). Lenient
 * where Go's archive/tar is, as the tools that made the images at hand are judged by it.
 */
import { decodePath } from '../../sys/path.ts';

/** Offset and length of each field. */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
  /** In star archives, whose prefix is shorter. */
  starPrefix: [345, 131],
  starTrailer: [508, 4],
} as const;

export type Field = readonly [offset: number, length: number];

/** Text up to the first NUL, in tree form. */
export function readText(block: Buffer, [offset, length]: Field): string {
  let end = offset;
  let ascii = true;
  while (end < offset + length) {
    const byte = block[end] ?? 0;
    if (byte === 0) break;
    if (byte > 0x7f) ascii = false;
    end++;
  }
  return ascii ? block.toString('latin1', offset, end) : decodePath(block.subarray(offset, end));
}

/**
 * An octal number, or a base-256 one where the first bit is set. Undefined when it is neither or does not fit a safe
 * integer. An empty field is 0.
 */
export function readNumber(block: Buffer, [offset, length]: Field): number | undefined {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return readBase256(block, offset, length);
  const end = offset + length;
  let i = offset;
  while (i < end && isBlank(block[i])) i++;
  let value = 0;
  while (i < end) {
    const digit = (block[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
    i++;
  }
  // What follows a NUL is not part of the number; blanks may only be followed by blanks.
  while (i < end && block[i] === 0x20) i++;
  return i === end || block[i] === 0 ? value : undefined;
}

function readBase256(block: Buffer, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = negative ? (first & 0x7f) - 0x80 : first & 0x7f;
  for (let i = offset + 1; i < offset + length; i++) {
    value = value * 256 + (block[i] ?? 0);
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

/** Whether the block's checksum is right, summed as unsigned or (some old tars) as signed bytes. */
export function checksumFits(block: Buffer): boolean {
  const stored = readNumber(block, FIELDS.checksum);
  if (stored === undefined) return false;
  let unsigned = 0;
  let high = 0;
  for (let i = 0; i < 512; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
    unsigned += byte;
    if (byte > 0x7f) high++;
  }
  return stored === unsigned || stored === unsigned - 256 * high;
}

export function isZeroBlock(block: Buffer): boolean {
  for (let i = 0; i < 512; i++) if (block[i] !== 0) return false;
  return true;
}
