/** File systems as a whole: what they are, how much room is left, writing them out. */
import { statfsSync } from 'node:fs';
import { checked, libcFunction, libcFunctionAsync } from './libc.ts';
import { asBuildError } from './errno.ts';
import { encodePath } from './path.ts';

export interface FileSystemFacts {
  /** `ext4` stands for ext2 to ext4, which share a number; `0x...` when unknown. */
  readonly type: string;
  /** Bytes that we may still write. */
  readonly available: number;
  readonly total: number;
  /** Inodes left; 0 where the file system has no such bound (btrfs). */
  readonly freeInodes: number;
}

/** Of the kernel's magic numbers (linux/magic.h), those that matter to where state and builds live. */
const TYPES: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
  [0x73717368, 'squashfs'],
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
  [0x27e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
]);

export function fileSystemOf(path: string): FileSystemFacts {
  try {
    const facts = statfsSync(encodePath(path));
    const magic = facts.type >>> 0;
    return {
      type: TYPES.get(magic) ?? `0x${magic.toString(16)}`,
      available: facts.bavail * facts.bsize,
      total: facts.blocks * facts.bsize,
      freeInodes: facts.ffree,
    };
  } catch (error) {
    throw asBuildError(error);
  }
}

const rawSyncfs = libcFunction('syncfs', ['int']);
const rawSyncfsAsync = libcFunctionAsync('syncfs', ['int']);

/** Writes out everything of the file system that `fd` is on; waits for it. */
export function syncfs(fd: number): void {
  checked(rawSyncfs(fd), 'syncfs');
}

/** {@link syncfs} on another thread; false when it failed. Keep `fd` open until it resolves. */
export async function syncfsAsync(fd: number): Promise<boolean> {
  return (await rawSyncfsAsync(fd)) === 0;
}
