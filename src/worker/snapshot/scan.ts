/**
 * Reads the upper directory of a finished step as a layer's tree: what it added, changed and removed. As BuildKit's
 * overlay differ: what was only copied up is no change, and a directory counts as changed by its own metadata, not by
 * its times.
 */
import { closeSync, openSync, readlinkSync, readSync, rmdirSync, unlinkSync } from 'node:fs';
import type { DirectoryEntry, NodeEntry, Tree, TreeEntry, TreePath } from '../../contracts/index.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { removeXattr } from '../../sys/xattr.ts';
import { encodePath, decodePath, readNames } from '../../sys/path.ts';
import { lstat, type ExactStat } from '../../sys/stat.ts';
import { compareTreePaths } from '../../store/index.ts';
import { OPAQUE, isOpaque, isWhiteout } from './whiteout.ts';
import { lookupLower, type LowerNode } from './lower-view.ts';
import { imageXattrs, sameXattrs } from './xattrs.ts';

export interface ScanInput {
  /** The upper directory. */
  readonly upper: string;
  /** The layers it was mounted on, bottom to top. */
  readonly lower: readonly string[];
}

export interface ScanResult {
  readonly tree: Tree;
  /** Bytes of the layer's regular files, hard links counted once. */
  readonly size: number;
  /** Host paths of what is no change, children before parents; see {@link pruneUpper}. */
  readonly dropped: readonly string[];
  /** New directories that overlayfs has marked opaque, though there is nothing below to hide. */
  readonly wronglyOpaque: readonly string[];
}

/**
 * Content digests are left open. Sockets are dropped (BuildKit drops them).
 *
 * @param limit Gives up after this many entries, for callers that would rather go on elsewhere.
 * @returns Undefined when given up.
 */
export function scanUpper(input: ScanInput, limit = Infinity): ScanResult | undefined {
  const tree = new Map<TreePath, TreeEntry>();
  const firstNames = new Map<string, TreePath>();
  const dropped: string[] = [];
  const wronglyOpaque: string[] = [];
  let seen = 0;
  let size = 0;

  /** @returns False when given up. */
  function directory(host: string, path: TreePath, lower: readonly string[]): boolean {
    const names = readNames(host);
    if (names.length > 1) names.sort(compareTreePaths);
    for (const name of names) {
      if (++seen > limit) return false;
      const childHost = `${host}/${name}`;
      const childPath = path === '' ? name : `${path}/${name}`;
      const stat = lstat(childHost);
      if (stat === undefined) continue;
      const below = lower.length === 0 ? undefined : lookupLower(lower, name);
      if (stat.type === 'directory') {
        if (!subdirectory(childHost, childPath, stat, below)) return false;
      } else if (isWhiteout(stat)) {
        if (below === undefined) dropped.push(childHost);
        else tree.set(childPath, { type: 'whiteout' });
      } else if (!leaf(childHost, childPath, stat, below)) {
        dropped.push(childHost);
      }
    }
    return true;
  }

  function subdirectory(host: string, path: TreePath, stat: ExactStat, below: LowerNode | undefined): boolean {
    const covers = below?.stat.type === 'directory';
    const opaque = covers && isOpaque(host);
    const entry: DirectoryEntry = { type: 'directory', ...metaOf(host, stat), ...(opaque ? { opaque: true } : {}) };
    const unchanged = covers && !opaque && sameMeta(stat, entry.xattrs, below);
    // Set first: the map's order is the tree's. Taken back when nothing below it has changed either.
    tree.set(path, entry);
    const before = tree.size;
    if (!directory(host, path, covers && !opaque ? below.directories : [])) return false;
    if (unchanged && tree.size === before) {
      tree.delete(path);
      dropped.push(host);
    } else if (!covers) {
      wronglyOpaque.push(host);
    }
    return true;
  }

  /** @returns False when it is no change, or nothing that a layer holds. */
  function leaf(host: string, path: TreePath, stat: ExactStat, below: LowerNode | undefined): boolean {
    const entry = leafEntry(host, stat);
    if (entry === undefined) return false;
    if (below?.stat.type === stat.type && sameLeaf(host, stat, entry, below)) return false;
    if (entry.type === 'file' && stat.nlink > 1) {
      const inode = `${stat.dev}:${stat.ino}`;
      const first = firstNames.get(inode);
      if (first !== undefined) {
        tree.set(path, { ...entry, hardlink: first });
        return true;
      }
      firstNames.set(inode, path);
    }
    if (entry.type === 'file') size += entry.size;
    tree.set(path, entry);
    return true;
  }

  const complete = directory(input.upper, '', [...input.lower].reverse());
  return complete ? { tree, size, dropped, wronglyOpaque } : undefined;
}

/**
 * Makes the directory say what the tree says, as it may stand on other layers one day: what was only copied up is
 * removed, and new directories hide nothing. For an upper directory that is mounted no more.
 */
export function pruneUpper({ dropped, wronglyOpaque }: ScanResult): void {
  for (const host of dropped) removeLeaf(host);
  for (const host of wronglyOpaque) removeXattr(host, OPAQUE);
}

function removeLeaf(host: string): void {
  try {
    unlinkSync(encodePath(host));
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'EISDIR' && code !== 'EPERM') throw asBuildError(error);
    rmdirSync(encodePath(host));
  }
}

type Meta = Pick<NodeEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNsec' | 'xattrs'>;

function metaOf(host: string, stat: ExactStat): Meta {
  const { mode, uid, gid, mtime, mtimeNsec } = stat;
  const xattrs = imageXattrs(host);
  return xattrs === undefined ? { mode, uid, gid, mtime, mtimeNsec } : { mode, uid, gid, mtime, mtimeNsec, xattrs };
}

function leafEntry(host: string, stat: ExactStat): Exclude<NodeEntry, DirectoryEntry> | undefined {
  switch (stat.type) {
    case 'file':
      return { type: 'file', ...metaOf(host, stat), size: stat.size };
    case 'symlink':
      return { type: 'symlink', ...metaOf(host, stat), target: readLink(host) };
    case 'char-device':
    case 'block-device':
      return { type: stat.type, ...metaOf(host, stat), major: stat.major, minor: stat.minor };
    case 'fifo':
      return { type: 'fifo', ...metaOf(host, stat) };
    case 'directory':
    case 'socket':
      return undefined;
  }
}

function readLink(host: string): string {
  return decodePath(readlinkSync(encodePath(host), 'buffer'));
}

function sameMeta(stat: ExactStat, xattrs: Meta['xattrs'], below: LowerNode): boolean {
  const other = below.stat;
  return (
    stat.mode === other.mode &&
    stat.uid === other.uid &&
    stat.gid === other.gid &&
    sameXattrs(xattrs, imageXattrs(below.path))
  );
}

function sameLeaf(host: string, stat: ExactStat, entry: NodeEntry, below: LowerNode): boolean {
  const other = below.stat;
  if (stat.size !== other.size || stat.mtime !== other.mtime || stat.mtimeNsec !== other.mtimeNsec) return false;
  if (stat.major !== other.major || stat.minor !== other.minor) return false;
  if (!sameMeta(stat, entry.xattrs, below)) return false;
  if (entry.type === 'symlink') return entry.target === readLink(below.path);
  // A time without a fraction may be a time that was set: only the content tells.
  if (entry.type === 'file' && stat.mtimeNsec === 0 && stat.size > 0) return sameContent(host, below.path);
  return true;
}

const CHUNK = 1 << 16;

function sameContent(a: string, b: string): boolean {
  const x = openSync(encodePath(a), 'r');
  try {
    const y = openSync(encodePath(b), 'r');
    try {
      const p = Buffer.allocUnsafe(CHUNK);
      const q = Buffer.allocUnsafe(CHUNK);
      for (;;) {
        const n = readSync(x, p, 0, CHUNK, null);
        const m = readSync(y, q, 0, CHUNK, null);
        if (n !== m || p.compare(q, 0, m, 0, n) !== 0) return false;
        if (n === 0) return true;
      }
    } finally {
      closeSync(y);
    }
  } finally {
    closeSync(x);
  }
}
