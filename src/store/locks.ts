import { fstatSync, statSync, unlinkSync } from 'node:fs';
import { closeLockFile, openLockFile, tryFlock, waitFlock } from '../sys/flock.ts';
import type { Store } from './types.ts';

/**
 * Named locks between processes, and between users of one process. Lock files are removed by whoever had the lock alone,
 * so that names may be many; who waited on a removed file opens the new one.
 *
 * @param beforeRelease What others must be able to see when they get the lock.
 */
export function createLock(lockPath: (name: string) => string, beforeRelease: () => void): Store['lock'] {
  return async (name, options) => {
    const path = lockPath(name);
    const shared = options.shared ?? false;
    for (;;) {
      const fd = openLockFile(path);
      try {
        await waitFlock(fd, shared, options.signal);
      } catch (error) {
        closeLockFile(fd);
        throw error;
      }
      if (fstatSync(fd).ino !== statSync(path, { throwIfNoEntry: false })?.ino) {
        closeLockFile(fd);
        continue;
      }
      let held = true;
      return {
        release() {
          if (!held) return;
          held = false;
          try {
            beforeRelease();
          } finally {
            if (tryFlock(fd)) unlinkQuietly(path);
            closeLockFile(fd);
          }
        },
      };
    }
  };
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The state directory itself is gone.
  }
}
