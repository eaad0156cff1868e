/**
 * Tar headers, deterministic: equal headers give equal bytes. Plain ustar where it holds everything; a pax header before
 * it for what it cannot hold: names over 100 bytes that do not split at a slash into the prefix, names that are not
 * ASCII, big ids and sizes, times before 1970 or with fractions, extended attributes. Owner names are never written:
 * only numbers mean the same in another image.
 */
import { encodePathBytes } from '../../sys/path.ts';
import { SCHILY_XATTR, paxRecord } from './pax.ts';
import { BLOCK, paddingOf } from './types.ts';
import type { TarEntryType, TarHeader } from './types.ts';

/** Two zero blocks. GNU tar's filling up to 10,240 bytes is for tapes. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

const FLAGS: Readonly<Record<TarEntryType, number>> = {
  file: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  'char-device': 0x33,
  'block-device': 0x34,
  directory: 0x35,
  fifo: 0x36,
};
const PAX_FLAG = 0x78;
const NAME_LENGTH = 100;
const PREFIX_LENGTH = 155;
const ID_MAX = 0o7777777;
const OCTAL_12_MAX = 0o77777777777;

const TEMPLATE = Buffer.alloc(BLOCK);
TEMPLATE.write('ustar\0' + '00', 257, 'latin1');

/**
 * The header blocks of an entry; its content follows them, then `paddingOf(size)` zeros. The name is taken as it is: a
 * directory's ends in a slash.
 */
export function encodeTarHeader(header: TarHeader): Buffer {
  const block = Buffer.allocUnsafe(BLOCK);
  const records = fillBlock(block, header);
  return records === undefined ? block : Buffer.concat([encodePax(records), block]);
}

/** The same, into `block` of 512 bytes; false when one block does not hold it, and `block` is spoiled. */
export function putTarHeader(block: Buffer, header: TarHeader): boolean {
  return fillBlock(block, header) === undefined;
}

/** @returns the pax records that have to go before the block. */
function fillBlock(block: Buffer, header: TarHeader): Buffer[] | undefined {
  const records: Buffer[] = [];
  TEMPLATE.copy(block);
  putName(block, header.name, records);
  if (header.target !== '') putTarget(block, header.target, records);
  putNumber(block, 100, 8, header.mode);
  putOrRecord(block, 108, 8, header.uid, ID_MAX, 'uid', records);
  putOrRecord(block, 116, 8, header.gid, ID_MAX, 'gid', records);
  putOrRecord(block, 124, 12, header.size, OCTAL_12_MAX, 'size', records);
  putTime(block, header, records);
  block[156] = FLAGS[header.type];
  putNumber(block, 329, 8, header.major);
  putNumber(block, 337, 8, header.minor);
  if (header.xattrs !== undefined) {
    for (const [name, value] of header.xattrs) records.push(paxRecord(SCHILY_XATTR + name, value));
  }
  putChecksum(block);
  return records.length === 0 ? undefined : records;
}

function encodePax(records: Buffer[]): Buffer {
  records.sort(compareKeys);
  const data = Buffer.concat(records);
  const block = Buffer.from(TEMPLATE);
  block.write('PaxHeaders.0/entry', 0, 'latin1');
  putNumber(block, 100, 8, 0);
  putNumber(block, 108, 8, 0);
  putNumber(block, 116, 8, 0);
  putNumber(block, 124, 12, data.length);
  putNumber(block, 136, 12, 0);
  block[156] = PAX_FLAG;
  putNumber(block, 329, 8, 0);
  putNumber(block, 337, 8, 0);
  putChecksum(block);
  return Buffer.concat([block, data, Buffer.alloc(paddingOf(data.length))]);
}

/** By key: what follows the length and a space. */
function compareKeys(a: Buffer, b: Buffer): number {
  return Buffer.compare(a.subarray(a.indexOf(0x20)), b.subarray(b.indexOf(0x20)));
}

function putName(block: Buffer, name: string, records: Buffer[]): void {
  const ascii = isAscii(name);
  if (ascii && name.length <= NAME_LENGTH) {
    block.write(name, 0, 'latin1');
    return;
  }
  const split = ascii ? splitName(name) : undefined;
  if (split !== undefined) {
    block.write(name.slice(split + 1), 0, 'latin1');
    block.write(name.slice(0, split), 345, 'latin1');
    return;
  }
  const bytes = encodePathBytes(name);
  records.push(paxRecord('path', bytes));
  // Readers that know no pax see the end of the name.
  bytes.copy(block, 0, Math.max(0, bytes.length - NAME_LENGTH));
}

/** The slash at which a name can be split between prefix and name; undefined when there is none. */
function splitName(name: string): number | undefined {
  if (name.length > PREFIX_LENGTH + 1 + NAME_LENGTH) return undefined;
  const slash = name.indexOf('/', name.length - NAME_LENGTH - 1);
  return slash <= 0 || slash > PREFIX_LENGTH || slash === name.length - 1 ? undefined : slash;
}

function putTarget(block: Buffer, target: string, records: Buffer[]): void {
  if (target.length <= NAME_LENGTH && isAscii(target)) {
    block.write(target, 157, 'latin1');
    return;
  }
  const bytes = encodePathBytes(target);
  records.push(paxRecord('linkpath', bytes));
  bytes.copy(block, 157, Math.max(0, bytes.length - NAME_LENGTH));
}

function putTime(block: Buffer, { mtime, mtimeNsec }: TarHeader, records: Buffer[]): void {
  const fits = mtimeNsec === 0 && mtime >= 0 && mtime <= OCTAL_12_MAX;
  putNumber(block, 136, 12, fits ? mtime : 0);
  if (!fits) records.push(paxRecord('mtime', Buffer.from(formatTime(mtime, mtimeNsec), 'latin1')));
}

/** Seconds as a decimal number: 1 s before the epoch and 250,000,000 ns after that is `-0.75`. */
function formatTime(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const negative = seconds < 0;
  const whole = negative ? -seconds - 1 : seconds;
  const fraction = negative ? 1_000_000_000 - nanoseconds : nanoseconds;
  return `${negative ? '-' : ''}${whole}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
}

function putOrRecord(
  block: Buffer,
  offset: number,
  length: number,
  value: number,
  limit: number,
  key: string,
  records: Buffer[],
): void {
  putNumber(block, offset, length, value <= limit ? value : 0);
  if (value > limit) records.push(paxRecord(key, Buffer.from(String(value), 'latin1')));
}

/** Octal with leading zeros and a NUL at the end. */
function putNumber(block: Buffer, offset: number, length: number, value: number): void {
  let rest = value;
  for (let i = offset + length - 2; i >= offset; i--) {
    block[i] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

function putChecksum(block: Buffer): void {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) sum += block[i] ?? 0;
  putNumber(block, 148, 7, sum);
  block[155] = 0x20;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
