/**
 * Advisory locks on whole files (flock(2)). They belong to the open file, so the kernel releases them when the process
 * ends, however it ends, in whatever container it ran.
 */
import { constants } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import { AT_FDCWD, O_CLOEXEC, checked, cPath, lastErrno, libcFunction } from './libc.ts';
import { systemError } from './errno.ts';

const flock = libcFunction('flock', ['int', 'int']);
const openat = libcFunction('openat', ['int', 'const char *', 'int', 'uint']);
const close = libcFunction('close', ['int']);
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const EINTR = 4;
const EAGAIN = 11;

/** First and longest pause between two tries, milliseconds: short enough not to be felt, long enough to cost nothing. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 50;

/** Takes the lock now or not at all. */
export function tryFlock(fd: number, shared = false): boolean {
  for (;;) {
    if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) return true;
    const errno = lastErrno();
    if (errno === EAGAIN) return false;
    if (errno !== EINTR) throw systemError(errno, 'flock');
  }
}

/** What is worth to be told of a wait. */
export interface LongWait {
  /** Milliseconds. */
  readonly after: number;
  /** Called once, then. */
  readonly tell: () => void;
}

/**
 * Waits for the lock without holding up the event loop or a thread: it is tried again, with pauses up to 50 ms.
 * Errors: `cancelled` when `signal` fires.
 */
export async function waitFlock(
  fd: number,
  shared: boolean,
  signal: AbortSignal | undefined,
  longWait?: LongWait,
): Promise<void> {
  let waited = 0;
  let told = false;
  for (let pause = FIRST_PAUSE; !tryFlock(fd, shared); pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    await sleep(pause, signal);
    waited += pause;
    if (longWait === undefined || told || waited < longWait.after) continue;
    told = true;
    longWait.tell();
  }
}

/**
 * Opens (and makes) a lock file. Through libc, not Node: a worker thread of Node closes its files when it ends, and with
 * them their locks, though the process goes on. Close it with {@link closeLockFile}, which releases.
 */
export function openLockFile(path: string): number {
  return checked(openat(AT_FDCWD, cPath(path), constants.O_RDWR | constants.O_CREAT | O_CLOEXEC, 0o600), 'open', path);
}

/** Releases the lock. */
export function closeLockFile(fd: number): void {
  // Only EBADF is possible, and then the lock is gone already.
  close(fd);
}

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(cancelled(signal));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      if (signal !== undefined) reject(cancelled(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function cancelled(signal: AbortSignal): BuildError {
  return signal.reason instanceof BuildError
    ? signal.reason
    : new BuildError({
        code: 'cancelled',
        message: 'cancelled while waiting for another slipway process',
        cause: signal.reason,
      });
}
