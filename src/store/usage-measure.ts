/** What files and directories take on the disk. */
import { lstatSync, statSync } from 'node:fs';
import type { Tree } from '../contracts/index.ts';
import { encodePath, readNames } from '../sys/path.ts';
import type { Database } from './database.ts';

/** Bytes of a block of most file systems, and of an inode of ext4. */
const BLOCK = 4096;
const INODE = 256;
/** st_blocks counts in these (stat(2)), whatever the file system's own are. */
const STAT_BLOCK = 512;
/** A link's text up to here lies in its inode (ext4). */
const FAST_LINK = 60;

/** What the directory of a layer takes, told from its tree: a walk of 100,000 files would take a second. */
export function directorySize(tree: Tree): number {
  let size = 0;
  for (const entry of tree.values()) {
    if (entry.type === 'file' && entry.hardlink !== undefined) continue;
    size += INODE;
    if (entry.type === 'file') size += Math.ceil(entry.size / BLOCK) * BLOCK;
    else if (entry.type === 'directory' || (entry.type === 'symlink' && entry.target.length >= FAST_LINK))
      size += BLOCK;
  }
  return size;
}

/** Of a file or of a directory and all below it, each hard-linked file once. What cannot be read counts for nothing. */
export function measureTree(path: string): number {
  let size = 0;
  const seen = new Set<bigint>();
  const open = [path];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    try {
      const stat = lstatSync(encodePath(at), { bigint: true });
      if (stat.nlink > 1n && !stat.isDirectory()) {
        if (seen.has(stat.ino)) continue;
        seen.add(stat.ino);
      }
      size += Number(stat.blocks) * STAT_BLOCK;
      if (stat.isDirectory()) for (const name of readNames(at)) open.push(`${at}/${name}`);
    } catch {
      // Gone meanwhile, or deeper than a path can say.
    }
  }
  return size;
}

/** On the disk; 0 when it is not there. */
export function fileSize(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * STAT_BLOCK;
}

/** {@link measureTree}, remembered as long as `stamp` is the same. */
export function measureOnce(db: Database, path: string, stamp: string, name: string): number {
  const known = db.get('SELECT stamp, size FROM measure WHERE path = ?', name);
  if (known?.['stamp'] === stamp) return Number(known['size']);
  const size = measureTree(path);
  db.writeLater('INSERT OR REPLACE INTO measure (path, stamp, size) VALUES (:name, :stamp, :size)', {
    name,
    stamp,
    size,
  });
  return size;
}
