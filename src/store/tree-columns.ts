/** The columns of a tree, and how they grow. */
import type { TreePath } from '../contracts/index.ts';

export const TREE_TYPES = [
  'directory',
  'file',
  'symlink',
  'char-device',
  'block-device',
  'fifo',
  'socket',
  'whiteout',
] as const;
export const TYPE_MASK = 0x0f;
export const HAS_DIGEST = 0x10;
export const HAS_HARDLINK = 0x20;
export const IS_OPAQUE = 0x40;
export const HAS_XATTRS = 0x80;
/** In place of a type: the entry was taken out. */
export const REMOVED = 0x0f;
export const DIGEST_BYTES = 32;

/** What few entries have. */
export interface Extra {
  readonly hardlink?: TreePath | undefined;
  readonly target?: string | undefined;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

/** Fields by row; all have room for as many rows as `kinds`. */
export interface TreeColumns {
  /** Type in the low four bits, and what else there is above. */
  readonly kinds: Uint8Array;
  readonly modes: Uint16Array;
  readonly uids: Uint32Array;
  readonly gids: Uint32Array;
  readonly mtimes: Float64Array;
  readonly nanoseconds: Uint32Array;
  readonly sizes: Float64Array;
  /** {@link DIGEST_BYTES} each. */
  readonly digests: Buffer;
  /** Where in `text` each path ends; a NUL is there, and the next path begins behind it. */
  readonly ends: Uint32Array;
  /** Paths in the file system's bytes. */
  readonly text: Buffer;
}

/** Its buffer, longer; what was there is moved rather than kept until the next collection. */
function grown(column: Uint8Array | Uint16Array | Uint32Array | Float64Array, length: number): ArrayBuffer {
  const { buffer, BYTES_PER_ELEMENT } = column;
  return (buffer as ArrayBuffer).transfer(length * BYTES_PER_ELEMENT);
}

export function emptyColumns(rows: number, text: number): TreeColumns {
  return {
    kinds: new Uint8Array(rows),
    modes: new Uint16Array(rows),
    uids: new Uint32Array(rows),
    gids: new Uint32Array(rows),
    mtimes: new Float64Array(rows),
    nanoseconds: new Uint32Array(rows),
    sizes: new Float64Array(rows),
    digests: Buffer.from(new ArrayBuffer(rows * DIGEST_BYTES)),
    ends: new Uint32Array(rows),
    text: Buffer.from(new ArrayBuffer(text)),
  };
}

/** @param columns Not to be used any more. */
export function withRows(columns: TreeColumns, rows: number): TreeColumns {
  return {
    kinds: new Uint8Array(grown(columns.kinds, rows)),
    modes: new Uint16Array(grown(columns.modes, rows)),
    uids: new Uint32Array(grown(columns.uids, rows)),
    gids: new Uint32Array(grown(columns.gids, rows)),
    mtimes: new Float64Array(grown(columns.mtimes, rows)),
    nanoseconds: new Uint32Array(grown(columns.nanoseconds, rows)),
    sizes: new Float64Array(grown(columns.sizes, rows)),
    digests: Buffer.from(grown(columns.digests, rows * DIGEST_BYTES)),
    ends: new Uint32Array(grown(columns.ends, rows)),
    text: columns.text,
  };
}

/** @param columns Not to be used any more. */
export function withText(columns: TreeColumns, bytes: number): TreeColumns {
  return { ...columns, text: Buffer.from(grown(columns.text, bytes)) };
}

/** Fields of rows, without their paths. */
export function copyColumns(source: TreeColumns, from: number, to: number, into: TreeColumns, at: number): void {
  into.kinds.set(source.kinds.subarray(from, to), at);
  into.modes.set(source.modes.subarray(from, to), at);
  into.uids.set(source.uids.subarray(from, to), at);
  into.gids.set(source.gids.subarray(from, to), at);
  into.mtimes.set(source.mtimes.subarray(from, to), at);
  into.nanoseconds.set(source.nanoseconds.subarray(from, to), at);
  into.sizes.set(source.sizes.subarray(from, to), at);
  into.digests.set(source.digests.subarray(from * DIGEST_BYTES, to * DIGEST_BYTES), at * DIGEST_BYTES);
}

/**
 * Paths of rows, `prefix` in the place of the first `strip` bytes of each.
 *
 * @param start Of the first path's text.
 * @param atText Of the first that is written.
 */
export function copyPaths(
  source: TreeColumns,
  start: number,
  from: number,
  to: number,
  strip: number,
  prefix: Uint8Array,
  into: TreeColumns,
  atText: number,
  at: number,
): void {
  const { text, ends } = source;
  let read = start;
  let written = atText;
  for (let row = from; row < to; row++) {
    for (const byte of prefix) into.text[written++] = byte;
    const end = ends[row] ?? 0;
    // Short as paths are, this is quicker than a call for each.
    for (read += strip; read < end; read++) into.text[written++] = text[read] ?? 0;
    read++;
    into.ends[at + row - from] = written;
    into.text[written++] = 0;
  }
}
