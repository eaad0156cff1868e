import { fstatSync, ftruncateSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { closeLockFile, openLockFile, tryFlock, waitFlock } from '../sys/flock.ts';
import type { Store } from './types.ts';

/** Milliseconds after which somebody who waits wants to know for whom. */
const LONG_WAIT = 1000;
/** Signs of it; the rest is cut off. */
const HOLDER_MAX = 300;

export interface LockSurroundings {
  readonly pathOf: (name: string) => string;
  /** What others must be able to see when they get the lock. */
  readonly beforeRelease: () => void;
  /** Who this is, for those who wait: `build 1f2e3d4c5b`. */
  readonly holder?: string | undefined;
  /**
   * A lock takes long to come.
   *
   * @param holder Who has it, in words; undefined when nobody says.
   * @returns Called when the wait is over, however it ends.
   */
  readonly onWait?: ((holder: string | undefined) => () => void) | undefined;
}

/**
 * Named locks between processes, and between users of one process. Lock files are removed by whoever had the lock alone,
 * so that names may be many; who waited on a removed file opens the new one. Who has a lock alone writes into its file who
 * it is: for people, nothing depends on it.
 */
export function createLock({ pathOf, beforeRelease, holder, onWait }: LockSurroundings): Store['lock'] {
  return async (name, options) => {
    const path = pathOf(name);
    const shared = options.shared ?? false;
    let waitEnded: (() => void) | undefined;
    const tell = (): void => void (waitEnded ??= onWait?.(readHolder(path)));
    try {
      for (;;) {
        const fd = openLockFile(path);
        try {
          await waitFlock(fd, shared, options.signal, { after: LONG_WAIT, tell });
        } catch (error) {
          closeLockFile(fd);
          throw error;
        }
        const { ino, size } = fstatSync(fd);
        if (ino !== statSync(path, { throwIfNoEntry: false })?.ino) {
          closeLockFile(fd);
          continue;
        }
        if (!shared) writeHolder(fd, size, [holder, `process ${process.pid}`, options.doing]);
        return releasable(fd, path, beforeRelease);
      }
    } finally {
      waitEnded?.();
    }
  };
}

function releasable(fd: number, path: string, beforeRelease: () => void): { release(): void } {
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

/** A new file is not truncated: ext4 would write its content to the disk when it is closed, though it is removed by then. */
function writeHolder(fd: number, size: number, parts: readonly (string | undefined)[]): void {
  try {
    if (size > 0) ftruncateSync(fd);
    writeSync(fd, parts.filter((part) => part !== undefined).join(', '), 0);
  } catch {
    // A full disk: then nobody says who it is.
  }
}

function readHolder(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return text === '' ? undefined : text.slice(0, HOLDER_MAX);
  } catch {
    // Released at this moment.
    return undefined;
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The state directory itself is gone.
  }
}
