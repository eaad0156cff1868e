/** Copies file content by the cheapest way there is: shared extents, then inside the kernel, then through a buffer. */
import { constants, copyFileSync, readSync, writeSync } from 'node:fs';
import { lastErrno, libcFunction, syscallFunction } from './libc.ts';
import { asBuildError, systemError } from './errno.ts';
import { encodePath } from './path.ts';

const ioctl = libcFunction('ioctl', ['int', 'ulong', 'long']);
const copyFileRange = syscallFunction('copy_file_range', ['int', 'void *', 'int', 'void *', 'size_t', 'uint']);

/** linux/fs.h, `_IOW(0x94, 9, int)`. */
const FICLONE = 0x40049409;
/** One call copies at most this many bytes, so that it can be interrupted between two. */
const RANGE_CHUNK = 1 << 30;
const BUFFER_SIZE = 1 << 18;
/** Below this one read and one write are the fastest (measured on ext4). */
const SMALL_FILE = 1 << 16;

export type CopyMethod = 'reflink' | 'copy_file_range' | 'buffer';

// A file system that cannot share extents will not learn it: asked once a thread and pair of file systems.
let reflinksFail = false;

/**
 * Copies the content of one open file to another, empty one, both at offset 0.
 *
 * @param size Bytes that the source is known to have.
 * @returns How it was done, and how many bytes there were: fewer or more than `size` when the source changed meanwhile.
 */
export function copyContent(source: number, target: number, size: number): { method: CopyMethod; bytes: number } {
  if (size > SMALL_FILE) {
    if (!reflinksFail && ioctl(target, FICLONE, source) === 0) return { method: 'reflink', bytes: size };
    reflinksFail = true;
    const bytes = copyInKernel(source, target);
    if (bytes !== undefined) return { method: 'copy_file_range', bytes };
  }
  return { method: 'buffer', bytes: copyByBuffer(source, target) };
}

const EINTR = 4;
const REFUSALS = new Set([1, 18, 22, 26, 38, 95]); // EPERM EXDEV EINVAL ETXTBSY ENOSYS EOPNOTSUPP

/** Undefined when the kernel refused before the first byte. */
function copyInKernel(source: number, target: number): number | undefined {
  let total = 0;
  for (;;) {
    const copied = copyFileRange(source, null, target, null, RANGE_CHUNK, 0);
    if (copied > 0) {
      total += copied;
      continue;
    }
    // Some file systems (procfs, old FUSE) answer 0 for files that have content: the buffer finds out.
    if (copied === 0) return total === 0 ? undefined : total;
    const errno = lastErrno();
    if (errno === EINTR) continue;
    if (total === 0 && REFUSALS.has(errno)) return undefined;
    throw systemError(errno, 'copy_file_range');
  }
}

let buffer: Buffer | undefined;

function copyByBuffer(source: number, target: number): number {
  buffer ??= Buffer.allocUnsafeSlow(BUFFER_SIZE);
  let total = 0;
  try {
    for (;;) {
      const length = readSync(source, buffer, 0, BUFFER_SIZE, null);
      if (length === 0) return total;
      for (let written = 0; written < length;) written += writeSync(target, buffer, written, length - written);
      total += length;
    }
  } catch (error) {
    throw asBuildError(error);
  }
}

/** Copies a whole file by path to a path that must not exist; shares extents where possible. Mode bits come along. */
export function copyFile(source: string, target: string): void {
  try {
    copyFileSync(encodePath(source), encodePath(target), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  } catch (error) {
    throw asBuildError(error);
  }
}
