import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { encodePath } from '../../sys/path.ts';
import type { HashAnswer, HashRequest } from './hash-files.ts';

/** Bytes read at once. */
const CHUNK = 1024 * 1024;
let chunk: Buffer | undefined;

/**
 * sha256 of a regular file, with the bytes read; the name of the errno when it cannot be read. Never follows a link at
 * the end of the path, never waits for a fifo that has taken the file's place.
 *
 * @param path Host path in tree form.
 */
export function hashFile(path: string): { readonly digest: Uint8Array; readonly size: number } | string {
  let fd: number | undefined;
  try {
    fd = openSync(encodePath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) return 'ENOENT';
    chunk ??= Buffer.allocUnsafeSlow(CHUNK);
    const hash = createHash('sha256');
    let size = 0;
    for (;;) {
      const length = readSync(fd, chunk, 0, CHUNK, null);
      if (length === 0) break;
      hash.update(length === CHUNK ? chunk : chunk.subarray(0, length));
      size += length;
    }
    return { digest: hash.digest(), size };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EIO';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** {@link hashFile} for many. */
export function hashFiles({ paths }: HashRequest): HashAnswer {
  const digests = new Uint8Array(paths.length * 32);
  const sizes = new Float64Array(paths.length);
  const failures: [number, string][] = [];
  for (const [i, path] of paths.entries()) {
    const result = hashFile(path);
    if (typeof result === 'string') {
      failures.push([i, result]);
      sizes[i] = -1;
    } else {
      digests.set(result.digest, i * 32);
      sizes[i] = result.size;
    }
  }
  return { digests, sizes, failures };
}
