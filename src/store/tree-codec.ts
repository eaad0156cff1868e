/**
 * Trees as bytes: the columns of `tree-table.ts` one after the other, so that reading one is a look at what was read.
 *
 *     "SLTR" | u32 version | u32 CRC-32 of the rest | u32 entries | u32 bytes of each part that is not one width per entry:
 *     paths, links, devices, targets, attributes | 0 to a multiple of 8
 *     f64 times, sizes | u32 users, groups, nanoseconds | u16 modes | u8 kinds | 32 bytes of digest
 *     paths | u32 row of the first name of each hard link | u32 major, minor of each device | targets | attributes
 *
 * Numbers are as this machine has them. Texts are in the file system's bytes, a NUL behind each. Every entry has every
 * field of a fixed width, be it zero. `kinds` holds the type in its low four bits and what else there is above.
 */
import { crc32 } from 'node:zlib';
import { BuildError, type Tree, type TreePath } from '../contracts/index.ts';
import { decodePath, encodePathBytes } from '../sys/path.ts';
import { findPathProblem } from './tree-order.ts';
import {
  DIGEST_BYTES,
  HAS_DIGEST,
  HAS_HARDLINK,
  HAS_XATTRS,
  IS_OPAQUE,
  TREE_TYPES,
  TYPE_MASK,
  type Extra,
  type TreeColumns,
} from './tree-columns.ts';
import { TreeTable } from './tree-table.ts';
import { encodeXattrs, readXattrSets } from './tree-xattrs.ts';

const MAGIC = 0x52544c53; // "SLTR"
export const TREE_VERSION = 2;
const HEADER_WORDS = 10;
const HEADER = HEADER_WORDS * 4;
const FILE = TREE_TYPES.indexOf('file');
const SYMLINK = TREE_TYPES.indexOf('symlink');
const DEVICES = [TREE_TYPES.indexOf('char-device'), TREE_TYPES.indexOf('block-device')];

/**
 * Errors: `hostile` when a path or link text contains a NUL character, which no Linux file system can hold; `internal`
 * when it is no tree: out of order, a path that is not clean, a hard link to nothing, an impossible mode or time.
 */
export function encodeTree(tree: Tree): Uint8Array {
  return Buffer.concat(treeParts(tree));
}

/** {@link encodeTree} without a copy: what is to be one after the other. */
export function treeParts(tree: Tree): readonly Uint8Array[] {
  const table = TreeTable.of(tree);
  const { columns, rows, extras } = table.columns();
  const { text, ends } = columns;
  const textLength = rows === 0 ? 0 : (ends[rows - 1] ?? 0) + 1;
  if (countNuls(text, textLength) !== rows) throw hasNul(tree.keys());
  const problem = findPathProblem(text, ends, rows) ?? findFieldProblem(columns, rows);
  if (problem !== undefined) throw malformed(problem);

  const links: number[] = [];
  const devices: number[] = [];
  const targets: Uint8Array[] = [];
  const xattrs: Uint8Array[] = [];
  for (const row of [...extras.keys()].sort((a, b) => a - b)) {
    const extra = extras.get(row) ?? {};
    if (extra.hardlink !== undefined) links.push(linkedRow(table, extra.hardlink));
    if (extra.major !== undefined) devices.push(extra.major, extra.minor ?? 0);
    if (extra.target !== undefined) {
      if (extra.target.includes('\0')) throw hasNul([extra.target]);
      targets.push(encodePathBytes(extra.target), NUL);
    }
    if (extra.xattrs !== undefined) encodeXattrs(extra.xattrs, xattrs);
  }
  const columnParts: Uint8Array[] = [
    bytesOf(columns.mtimes, rows),
    bytesOf(columns.sizes, rows),
    bytesOf(columns.uids, rows),
    bytesOf(columns.gids, rows),
    bytesOf(columns.nanoseconds, rows),
    bytesOf(columns.modes, rows),
    bytesOf(columns.kinds, rows),
    columns.digests.subarray(0, rows * DIGEST_BYTES),
  ];
  const rest = [
    text.subarray(0, textLength),
    bytesOf(Uint32Array.from(links)),
    bytesOf(Uint32Array.from(devices)),
    Buffer.concat(targets),
    Buffer.concat(xattrs),
  ];
  const header = Buffer.alloc(HEADER);
  [MAGIC, TREE_VERSION, 0, rows, ...rest.map((part) => part.length)].forEach((word, i) =>
    header.writeUInt32LE(word, i * 4),
  );
  const parts = [...columnParts, ...rest];
  let sum = crc32(header.subarray(12));
  for (const part of parts) sum = crc32(part, sum);
  header.writeUInt32LE(sum, 8);
  return [header, ...parts];
}

function linkedRow(table: TreeTable, first: TreePath): number {
  const row = table.rowOf(first);
  if (row < 0) throw malformed(`a hard link names ${first}, which is not in it`);
  return row;
}

/** Errors: `store` when the bytes are damaged, of another version, or no tree that we would write. */
export function decodeTree(bytes: Uint8Array): Tree {
  let buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER || buffer.readUInt32LE(0) !== MAGIC) throw damaged('it does not start as one');
  const version = buffer.readUInt32LE(4);
  if (version !== TREE_VERSION) throw damaged(`its version is ${version}, this slipway reads ${TREE_VERSION}`);
  if (crc32(buffer.subarray(12)) !== buffer.readUInt32LE(8)) throw damaged('its checksum is wrong');
  if (buffer.byteOffset % 8 !== 0) buffer = Buffer.from(Uint8Array.from(buffer).buffer);
  const rows = buffer.readUInt32LE(12);
  let at = HEADER;
  const take = (length: number): Buffer => {
    if (at + length > buffer.length) throw damaged('a part is too long');
    return buffer.subarray(at, (at += length));
  };
  const doubles = (): Float64Array => {
    const part = take(rows * 8);
    return new Float64Array(part.buffer, part.byteOffset, rows);
  };
  const words = (count = rows): Uint32Array => {
    const part = take(count * 4);
    return new Uint32Array(part.buffer, part.byteOffset, count);
  };
  const mtimes = doubles();
  const sizes = doubles();
  const uids = words();
  const gids = words();
  const nanoseconds = words();
  const modeBytes = take(rows * 2);
  const modes = new Uint16Array(modeBytes.buffer, modeBytes.byteOffset, rows);
  const kinds = take(rows);
  const digests = take(rows * DIGEST_BYTES);
  const [text, links, devices, targets, xattrs] = [4, 5, 6, 7, 8].map((word) => take(buffer.readUInt32LE(word * 4)));
  if (at !== buffer.length || !text || !links || !devices || !targets || !xattrs) {
    throw damaged('it has bytes after its end');
  }
  const ends = endsOf(text, rows);
  const columns: TreeColumns = { kinds, modes, uids, gids, mtimes, nanoseconds, sizes, digests, ends, text };
  const problem = findPathProblem(text, ends, rows) ?? findFieldProblem(columns, rows);
  if (problem !== undefined) throw damaged(problem);
  return new TreeTable(columns, rows, readExtras(columns, rows, { links, devices, targets, xattrs }));
}

/** What is in the parts that only some entries have something in, in the order of rows. */
function readExtras(
  { kinds, text, ends }: TreeColumns,
  rows: number,
  parts: { readonly links: Buffer; readonly devices: Buffer; readonly targets: Buffer; readonly xattrs: Buffer },
): Map<number, Extra> {
  const extras = new Map<number, Extra>();
  let [link, device, target] = [0, 0, 0];
  const nextXattrs = readXattrSets(parts.xattrs, () => damaged('attributes are missing'));
  for (let row = 0; row < rows; row++) {
    const kind = kinds[row] ?? 0;
    const type = kind & TYPE_MASK;
    const isDevice = DEVICES.includes(type);
    if ((kind & (HAS_HARDLINK | HAS_XATTRS)) === 0 && type !== SYMLINK && !isDevice) continue;
    const extra: { -readonly [Key in keyof Extra]: Extra[Key] } = {};
    if ((kind & HAS_XATTRS) !== 0) extra.xattrs = nextXattrs();
    if ((kind & HAS_HARDLINK) !== 0) {
      if (link + 4 > parts.links.length) throw damaged('links are missing');
      const first = parts.links.readUInt32LE(link);
      link += 4;
      // Only the first name of a file is ever a target, so that links cannot form chains or circles.
      const linked = first < rows ? (kinds[first] ?? 0) : 0;
      if ((linked & TYPE_MASK) !== FILE || (linked & HAS_HARDLINK) !== 0) throw damaged('a name links to no file');
      extra.hardlink = decodePath(text.subarray(first === 0 ? 0 : (ends[first - 1] ?? 0) + 1, ends[first]));
    }
    if (type === SYMLINK) {
      const end = parts.targets.indexOf(0, target);
      if (end < 0) throw damaged('link texts are missing');
      extra.target = decodePath(parts.targets.subarray(target, end));
      target = end + 1;
    }
    if (isDevice) {
      if (device + 8 > parts.devices.length) throw damaged('device numbers are missing');
      extra.major = parts.devices.readUInt32LE(device);
      extra.minor = parts.devices.readUInt32LE(device + 4);
      device += 8;
    }
    extras.set(row, extra);
  }
  return extras;
}

function endsOf(text: Buffer, rows: number): Uint32Array {
  const ends = new Uint32Array(rows);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const end = text.indexOf(0, at);
    if (end < 0) throw damaged('it has another number of paths than entries');
    ends[row] = end;
    at = end + 1;
  }
  if (at !== text.length) throw damaged('it has paths without entries');
  return ends;
}

function countNuls(text: Buffer, length: number): number {
  let count = 0;
  for (let at = text.indexOf(0); at >= 0 && at < length; at = text.indexOf(0, at + 1)) count++;
  return count;
}

function findFieldProblem({ kinds, modes, mtimes, nanoseconds, sizes }: TreeColumns, rows: number): string | undefined {
  for (let row = 0; row < rows; row++) {
    const kind = kinds[row] ?? 0;
    const type = kind & TYPE_MASK;
    if (type >= TREE_TYPES.length) return `entry ${row} is of an unknown type`;
    const allowed = type === FILE ? HAS_DIGEST | HAS_HARDLINK | HAS_XATTRS : HAS_XATTRS | IS_OPAQUE;
    if ((kind & ~TYPE_MASK & ~allowed) !== 0) return `entry ${row} has what its type has not`;
    const [mtime, nanosecond, size] = [mtimes[row] ?? 0, nanoseconds[row] ?? 0, sizes[row] ?? 0];
    if (((modes[row] ?? 0) & ~0o7777) !== 0 || !Number.isSafeInteger(mtime) || nanosecond > 999_999_999) {
      return `entry ${row} has an impossible mode or time`;
    }
    if (!Number.isSafeInteger(size) || size < 0) return `entry ${row} has an impossible size`;
  }
  return undefined;
}

const NUL = Buffer.alloc(1);

function bytesOf(array: Uint8Array | Uint16Array | Uint32Array | Float64Array, count = array.length): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, count * array.BYTES_PER_ELEMENT);
}

function hasNul(texts: Iterable<string>): BuildError {
  const text = [...texts].find((one) => one.includes('\0')) ?? '';
  return new BuildError({
    code: 'hostile',
    message: `a path or link contains a NUL character: ${JSON.stringify(text)}`,
  });
}

function malformed(why: string): BuildError {
  return new BuildError({ code: 'internal', message: `a tree that is none cannot be stored: ${why}` });
}

function damaged(why: string): BuildError {
  return new BuildError({
    code: 'store',
    message: `a tree in the state directory cannot be read: ${why}`,
    hint: 'build again with --no-cache; if it stays, remove the state directory',
  });
}
