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
