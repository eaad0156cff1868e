/** Content-addressed files: written under a temporary name, hashed in passing, verified, renamed. */
import { createHash, hash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  write as writeCallback,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { BuildError, type Digest } from '../contracts/index.ts';
import { asBuildError, errnoOf } from '../sys/errno.ts';
import type { HostPath } from '../sys/path.ts';
import { createGrowth } from './growing-blob.ts';
import type { Growth } from './growing-blob.ts';
import type { FollowedWriter } from './types.ts';

/**
 * A writer for one file. Nothing refers to it before `commit`.
 *
 * @param tempPath Where it grows.
 * @param place Called once with the digest of what was written; returns the final path.
 * @param committed Called when it is in its place.
 */
export function createWriter(
  tempPath: string,
  place: (digest: Digest) => string,
  committed: (digest: Digest, size: number) => void,
): FollowedWriter {
  const fd = openNew(tempPath);
  const hasher = createHash('sha256');
  let size = 0;
  let open = true;
  // Writes go to the kernel one after the other, in the order in which they were hashed.
  let written = Promise.resolve();
  let inFile = 0;
  let growth: Growth | undefined;

  /** Not before the last write is through: its descriptor must not become somebody else's meanwhile. */
  async function end(): Promise<void> {
    open = false;
    await written.catch(() => undefined);
    closeSync(fd);
  }

  async function discard(): Promise<void> {
    if (!open) return;
    await end();
    removeQuietly(tempPath);
    growth?.failed(new BuildError({ code: 'internal', message: 'a blob was given up' }));
  }

  return {
    async write(data) {
      if (!open) throw new BuildError({ code: 'internal', message: 'write to a blob that is closed' });
      // The kernel takes the bytes on another thread while this one hashes them.
      const mine = written.then(() => writeAll(fd, data));
      written = mine;
      hasher.update(data);
      size += data.length;
      try {
        await mine;
        inFile += data.length;
        growth?.grew(inFile);
      } catch (error) {
        await discard();
        throw error;
      }
    },
    async commit(expected = {}) {
      if (!open) throw new BuildError({ code: 'internal', message: 'commit of a blob that is closed' });
      const digest: Digest = `sha256:${hasher.digest('hex')}`;
      await end();
      try {
        await written;
        verify({ digest, size }, expected);
        const path = place(digest);
        moveIntoPlace(tempPath, path);
        growth?.ended(path, { digest, size });
      } catch (error) {
        removeQuietly(tempPath);
        growth?.failed(error);
        throw error;
      }
      committed(digest, size);
      return { digest, size };
    },
    abort: discard,
    follow: () => (growth ??= createGrowth(tempPath, inFile)).blob,
  };
}

/** A whole file from bytes at hand, complete or not there; whatever was at `path` is replaced. */
export function writeWhole(parts: readonly Uint8Array[], tempPath: string, path: string): void {
  try {
    const fd = openSync(tempPath, 'wx', 0o600);
    try {
      for (const part of parts) writeFileSync(fd, part);
    } finally {
      closeSync(fd);
    }
    moveIntoPlace(tempPath, path);
  } catch (error) {
    removeQuietly(tempPath);
    throw asBuildError(error);
  }
}

export function digestOf(data: Uint8Array): Digest {
  return `sha256:${hash('sha256', data, 'hex')}`;
}

/** Hashes a file; undefined when it is not there. */
export function digestOfFile(path: HostPath): { readonly digest: Digest; readonly size: number } | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw asBuildError(error);
  }
  try {
    const hasher = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(1 << 20, Math.max(1, fstatSync(fd).size + 1)));
    let size = 0;
    for (;;) {
      const length = readSync(fd, buffer);
      if (length === 0) return { digest: `sha256:${hasher.digest('hex')}`, size };
      hasher.update(buffer.subarray(0, length));
      size += length;
    }
  } catch (error) {
    throw asBuildError(error);
  } finally {
    closeSync(fd);
  }
}

/** Whether `path` holds exactly this content; removed when it holds anything else. */
export function verifyFile(path: string, digest: Digest): { readonly size: number } | undefined {
  const found = digestOfFile(path);
  if (found === undefined || found.digest === digest) return found;
  removeQuietly(path);
  return undefined;
}

/**
 * Single files of layers: `has` is one stat in the common case. Files written before the last start of the machine lie in
 * another directory; each is verified and moved when it is asked for.
 */
export function hasSingleFile(path: string, suspectPath: string, digest: Digest): boolean {
  if (existsSync(path)) return true;
  if (!existsSync(suspectPath) || verifyFile(suspectPath, digest) === undefined) return false;
  moveIntoPlace(suspectPath, path);
  return true;
}

function verify(
  found: { readonly digest: Digest; readonly size: number },
  expected: { readonly digest?: Digest | undefined; readonly size?: number | undefined },
): void {
  if (expected.size !== undefined && expected.size !== found.size) {
    const message = `${expected.digest ?? found.digest} should have ${expected.size} bytes, ${found.size} came`;
    throw new BuildError({ code: 'digest-mismatch', message, hint: RETRY });
  }
  if (expected.digest !== undefined && expected.digest !== found.digest) {
    const message = `the content of ${expected.digest} has the digest ${found.digest}`;
    throw new BuildError({ code: 'digest-mismatch', message, hint: RETRY });
  }
}

const RETRY = 'the transfer was cut short or altered on its way: try again, or check the registry or mirror';

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw asBuildError(error);
  }
}

function writeAll(fd: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (from: number): void => {
      writeCallback(fd, data, from, data.length - from, null, (error, written) => {
        if (error !== null) reject(asBuildError(error));
        else if (from + written < data.length) next(from + written);
        else resolve();
      });
    };
    if (data.length === 0) resolve();
    else next(0);
  });
}

/** rename(2); makes the parent when it is the first there. */
function moveIntoPlace(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw asBuildError(error);
    try {
      mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
      renameSync(from, to);
    } catch (second) {
      throw asBuildError(second);
    }
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Not there, or collected later with the lease.
  }
}
