import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { FileTree, TreePath } from '../contracts/index.ts';
import { encodePath } from '../sys/path.ts';

/** The first `length` bytes of a regular file of a tree; fewer when it has no more. */
export async function readStart(files: FileTree, path: TreePath, length: number): Promise<Uint8Array | undefined> {
  const [location] = await files.locate([path]);
  if (location === undefined) return undefined;
  if (location.kind === 'bytes') return location.data.subarray(0, length);
  const fd = openSync(encodePath(location.path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(fd, buffer, 0, length, 0));
  } finally {
    closeSync(fd);
  }
}
