import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isDigest } from '../../contracts/index.ts';
import type { Digest, TreePath } from '../../contracts/index.ts';
import type { ExactStat } from '../../sys/stat.ts';
import type { MountIndex } from './mount-index.ts';
import { decodeMountIndex, encodeMountIndex } from './mount-index.ts';

/**
 * What a cache mount's directory had in common with a document somewhere else, when both were last in step. Beside the directory,
 * and gone with it.
 */
export interface SyncedState {
  /** Where the document lies, as `host/repository:tag`. */
  readonly place: string;
  /** Digest of its manifest. */
  readonly manifest: Digest;
  readonly index: MountIndex;
  /** Inode of the directory: a new one has nothing in common with anything. */
  readonly root: string;
  /** Of files and links as they were then: what makes it certain that they have not changed. */
  readonly stamps: ReadonlyMap<TreePath, Stamp>;
}

/** Inode and change time, which no program can set. */
export type Stamp = string;

export function stampOf({ ino, size, mtime, mtimeNsec, ctime, ctimeNsec }: ExactStat): Stamp {
  return `${ino} ${size} ${mtime}.${mtimeNsec} ${ctime}.${ctimeNsec}`;
}

/** Milliseconds; more than a tick of the clock that file systems take times from: a younger file may change without its stamp. */
const TICK = 20;

/** Whether a file is old enough for its stamp to be trusted (git's racy-clean rule). @param now Milliseconds. */
export function isSettled({ ctime, ctimeNsec }: ExactStat, now: number): boolean {
  return ctime * 1000 + ctimeNsec / 1e6 < now - TICK;
}

const FILE = 'synced';
const VERSION = 1;

/** @param slot Directory that holds the mount's `fs`. Undefined when there is none, or none of this version. */
export async function readSynced(slot: string): Promise<SyncedState | undefined> {
  const { zstdDecompressSync } = await import('node:zlib');
  try {
    const text = zstdDecompressSync(readFileSync(`${slot}/${FILE}`)).toString('utf8');
    const value = JSON.parse(text) as {
      readonly version: number;
      readonly place: string;
      readonly manifest: string;
      readonly index: string;
      readonly root: string;
      readonly stamps: readonly (readonly [string, string])[];
    };
    if (value.version !== VERSION || !isDigest(value.manifest)) return undefined;
    const { place, manifest, root, stamps } = value;
    const index = decodeMountIndex(Buffer.from(value.index), { name: `${slot}/${FILE}`, code: 'store' });
    return { place, manifest, index, root, stamps: new Map(stamps) };
  } catch {
    // Then everything is compared by content.
    return undefined;
  }
}

export async function writeSynced(slot: string, { place, manifest, index, root, stamps }: SyncedState): Promise<void> {
  const { constants, zstdCompressSync } = await import('node:zlib');
  const encoded = Buffer.from(encodeMountIndex(index)).toString('utf8');
  const text = JSON.stringify({ version: VERSION, place, manifest, index: encoded, root, stamps: [...stamps] });
  const data = zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  writeFileSync(`${slot}/${FILE}.new`, data, { mode: 0o600 });
  renameSync(`${slot}/${FILE}.new`, `${slot}/${FILE}`);
}
