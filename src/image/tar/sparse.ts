/**
 * Sparse files in tars: GNU's old format (type `S`) and the three pax forms. The map lists what is stored; the rest of the
 * file is zeros.
 */
import { FIELDS, readNumber } from './fields.ts';
import type { Field } from './fields.ts';
import { paxInteger } from './pax.ts';
import type { PaxRecords } from './pax.ts';

export interface SparseMap {
  /** Size of the file with its holes. */
  readonly size: number;
  /** In ascending order, without overlaps, inside the file. */
  readonly segments: readonly { readonly offset: number; readonly length: number }[];
}

const OLD_ENTRIES: Field = [386, 96];
const OLD_EXTENDED = 482;
const OLD_REAL_SIZE: Field = [483, 12];
const EXTENSION_ENTRIES: Field = [0, 504];
const EXTENSION_EXTENDED = 504;
/** More stored pieces than any file at hand has; each takes memory while it is read. */
export const SPARSE_SEGMENTS_MAX = 100_000;

/** Pairs of offset and length as they come. */
export type SparseNumbers = number[];

/** The first pairs of a type `S` header. `more`: an extension block follows. Undefined when it is damaged. */
export function readOldSparse(header: Buffer): { numbers: SparseNumbers; size: number; more: boolean } | undefined {
  const size = readNumber(header, OLD_REAL_SIZE);
  const numbers: SparseNumbers = [];
  if (size === undefined || !readPairs(header, OLD_ENTRIES, numbers)) return undefined;
  return { numbers, size, more: header[OLD_EXTENDED] === 1 };
}

/** Adds the pairs of an extension block; returns whether another follows. Undefined when it is damaged. */
export function readSparseExtension(block: Buffer, numbers: SparseNumbers): boolean | undefined {
  if (!readPairs(block, EXTENSION_ENTRIES, numbers)) return undefined;
  if (numbers.length > 2 * SPARSE_SEGMENTS_MAX) return undefined;
  return block[EXTENSION_EXTENDED] === 1;
}

function readPairs(block: Buffer, [offset, length]: Field, numbers: SparseNumbers): boolean {
  const width = FIELDS.size[1];
  for (let at = offset; at + 2 * width <= offset + length; at += 2 * width) {
    if (block[at] === 0) break;
    const from = readNumber(block, [at, width]);
    const bytes = readNumber(block, [at + width, width]);
    if (from === undefined || bytes === undefined) return false;
    numbers.push(from, bytes);
  }
  return true;
}

/** How pax records say that a file is sparse; `body`: the map stands before the data (format 1.0). */
export type PaxSparse =
  | { readonly kind: 'none' }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'map'; readonly numbers: SparseNumbers; readonly size: number }
  | { readonly kind: 'body'; readonly size: number };

export function readPaxSparse(records: PaxRecords): PaxSparse {
  const { values, sparse } = records;
  const integer = (key: string): number | undefined => {
    const value = values.get(key);
    return value === undefined ? undefined : paxInteger(value);
  };
  const major = values.get('GNU.sparse.major')?.toString('latin1');
  const minor = values.get('GNU.sparse.minor')?.toString('latin1');
  if (major === '1' && minor === '0') {
    const size = integer('GNU.sparse.realsize');
    return size === undefined ? { kind: 'damaged' } : { kind: 'body', size };
  }
  const map = values.get('GNU.sparse.map')?.toString('latin1');
  if (map === undefined && sparse.length === 0 && !values.has('GNU.sparse.numblocks')) return { kind: 'none' };
  if (major !== undefined && major !== '0') return { kind: 'damaged' };
  const size = integer('GNU.sparse.size');
  const numbers = map === undefined ? [...sparse] : map === '' ? [] : map.split(',').map(Number);
  if (size === undefined || numbers.length > 2 * SPARSE_SEGMENTS_MAX) return { kind: 'damaged' };
  return { kind: 'map', numbers, size };
}

/** Checks pairs; undefined when they do not make a map of a file of `size` bytes. */
export function sparseMap(numbers: SparseNumbers, size: number): SparseMap | undefined {
  if (numbers.length % 2 !== 0 || size < 0) return undefined;
  const segments: { offset: number; length: number }[] = [];
  let end = 0;
  for (let i = 0; i < numbers.length; i += 2) {
    const offset = numbers[i];
    const length = numbers[i + 1];
    if (offset === undefined || length === undefined) return undefined;
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length)) return undefined;
    if (offset < end || length < 0 || offset + length > size) return undefined;
    end = offset + length;
    if (length > 0) segments.push({ offset, length });
  }
  return { size, segments };
}

/** Stored bytes of a map. */
export function storedSize({ segments }: SparseMap): number {
  return segments.reduce((sum, { length }) => sum + length, 0);
}
