import { closeSync, openSync, read as readCallback } from 'node:fs';
import { asBuildError } from '../sys/errno.ts';
import type { GrowingBlob } from './types.ts';

/** Bytes. */
const CHUNK = 256 * 1024;

/** The writing side of a {@link GrowingBlob}. */
export interface Growth {
  readonly blob: GrowingBlob;
  /** @param size Bytes that are in the file. */
  grew(size: number): void;
  /** @param path Where the file is from now on. */
  ended(path: string, whole: Awaited<GrowingBlob['whole']>): void;
  failed(error: unknown): void;
}

/** Lets a file be read while it is written. What was written lies in the kernel's cache: nothing is held here. */
export function createGrowth(tempPath: string, written: number): Growth {
  let path = tempPath;
  let size = written;
  let state: 'grows' | 'whole' | 'failed' = 'grows';
  let next = Promise.withResolvers<undefined>();
  const { promise: whole, resolve, reject } = Promise.withResolvers<Awaited<GrowingBlob['whole']>>();
  // Who asks hears of it.
  whole.catch(() => undefined);
  const wake = (): void => {
    next.resolve(undefined);
    next = Promise.withResolvers();
  };

  async function* read(start: number, until?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let fd: number | undefined;
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    until?.addEventListener('abort', wake);
    try {
      for (let at = start; until?.aborted !== true;) {
        if (state === 'failed') await whole;
        if (at < size) {
          fd ??= openSync(path, 'r');
          const length = await readAt(fd, buffer, at, Math.min(CHUNK, size - at));
          at += length;
          yield buffer.subarray(0, length);
        } else if (state === 'whole') return;
        else await next.promise;
      }
    } finally {
      until?.removeEventListener('abort', wake);
      if (fd !== undefined) closeSync(fd);
    }
  }

  return {
    blob: { read, whole },
    grew(now) {
      size = now;
      wake();
    },
    ended(place, result) {
      path = place;
      state = 'whole';
      resolve(result);
      wake();
    },
    failed(error) {
      state = 'failed';
      reject(error);
      wake();
    },
  };
}

function readAt(fd: number, buffer: Buffer, position: number, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readCallback(fd, buffer, 0, wanted, position, (error, length) => {
      if (error !== null) reject(asBuildError(error));
      // Somebody has cut a file of the store.
      else if (length === 0) reject(asBuildError(new Error('a file in the state directory is shorter than it was')));
      else resolve(length);
    });
  });
}
