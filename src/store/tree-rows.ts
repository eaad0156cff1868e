/** A row of columns as an entry, and an entry as a row. */
import type { Digest, TreeEntry } from '../contracts/index.ts';
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

const FILE = TREE_TYPES.indexOf('file');
const TYPE_CODES: ReadonlyMap<TreeEntry['type'], number> = new Map(TREE_TYPES.map((type, code) => [type, code]));
const WHITEOUT: TreeEntry = { type: 'whiteout' };
const NOTHING: Extra = {};

/** @returns What there is no column for. */
export function writeEntry(columns: TreeColumns, row: number, entry: TreeEntry): Extra | undefined {
  const { kinds, modes, uids, gids, mtimes, nanoseconds, sizes, digests } = columns;
  let kind = TYPE_CODES.get(entry.type) ?? 0;
  let extra: Extra | undefined;
  sizes[row] = 0;
  if (entry.type !== 'whiteout') {
    modes[row] = entry.mode;
    uids[row] = entry.uid;
    gids[row] = entry.gid;
    mtimes[row] = entry.mtime;
    nanoseconds[row] = entry.mtimeNsec;
    if (entry.xattrs !== undefined && entry.xattrs.size > 0) {
      kind |= HAS_XATTRS;
      extra = { xattrs: entry.xattrs };
    }
  }
  switch (entry.type) {
    case 'file':
      sizes[row] = entry.size;
      if (entry.digest !== undefined) {
        kind |= HAS_DIGEST;
        digests.write(entry.digest.slice(7), row * DIGEST_BYTES, DIGEST_BYTES, 'hex');
      }
      if (entry.hardlink !== undefined) {
        kind |= HAS_HARDLINK;
        extra = { ...extra, hardlink: entry.hardlink };
      }
      break;
    case 'directory':
      if (entry.opaque === true) kind |= IS_OPAQUE;
      break;
    case 'symlink':
      extra = { ...extra, target: entry.target };
      break;
    case 'char-device':
    case 'block-device':
      extra = { ...extra, major: entry.major, minor: entry.minor };
      break;
    case 'fifo':
    case 'socket':
    case 'whiteout':
      break;
  }
  kinds[row] = kind;
  return extra;
}

export function readEntry(columns: TreeColumns, row: number, extras: ReadonlyMap<number, Extra>): TreeEntry {
  const { kinds, modes, uids, gids, mtimes, nanoseconds, sizes, digests } = columns;
  const kind = kinds[row] ?? 0;
  const mode = modes[row] ?? 0;
  const uid = uids[row] ?? 0;
  const gid = gids[row] ?? 0;
  const mtime = mtimes[row] ?? 0;
  const mtimeNsec = nanoseconds[row] ?? 0;
  if ((kind & TYPE_MASK) === FILE) {
    const digest: Digest | undefined =
      (kind & HAS_DIGEST) === 0
        ? undefined
        : `sha256:${digests.toString('hex', row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES)}`;
    const { hardlink, xattrs } = (kind & (HAS_HARDLINK | HAS_XATTRS)) === 0 ? NOTHING : (extras.get(row) ?? NOTHING);
    return { type: 'file', mode, uid, gid, mtime, mtimeNsec, xattrs, size: sizes[row] ?? 0, digest, hardlink };
  }
  const type = TREE_TYPES[kind & TYPE_MASK] ?? 'whiteout';
  const { target = '', major = 0, minor = 0, xattrs } = extras.get(row) ?? NOTHING;
  const meta = { mode, uid, gid, mtime, mtimeNsec, xattrs };
  switch (type) {
    case 'directory':
      return { type, ...meta, opaque: (kind & IS_OPAQUE) === 0 ? undefined : true };
    case 'symlink':
      return { type, ...meta, target };
    case 'char-device':
    case 'block-device':
      return { type, ...meta, major, minor };
    case 'fifo':
    case 'socket':
      return { type, ...meta };
    case 'file':
    case 'whiteout':
      return WHITEOUT;
  }
}
