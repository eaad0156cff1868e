/**
 * A lease is a temporary directory with a lock: `tmp/<name>/` and `tmp/<name>.lock`, on which its process holds an flock.
 * When the process ends, however it ends, the kernel drops the lock; the next process that needs a lease sees that and
 * removes what was left. Layer ids are given out in blocks, which a lease marks, so that unfinished layers go too.
 * Into the lock file the process writes what it holds, a line each: no collector removes it while the lock is held.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { asBuildError } from '../sys/errno.ts';
import { closeLockFile, openLockFile, tryFlock } from '../sys/flock.ts';
import { BuildError } from '../contracts/index.ts';

export interface Lease {
  readonly name: string;
  /** Its temporary directory. */
  readonly directory: string;
  /** Remembers that ids of this block are ours; see `layer-ids.ts`. */
  markBlock(prefix: string): void;
  /** Writes down that this process relies on something; see {@link readLeases} for the lines. */
  hold(lines: readonly string[]): void;
  /** Removes the directory and gives up the lock. */
  release(): void;
}

/** Leases of this thread, by state directory: one each, however often a store is opened. */
const held = new Map<string, { readonly lease: Lease; users: number }>();
let counter = 0;

/** A call, as a build that finds everything needs no lease, and the module takes a millisecond. */
const threads = () => process.getBuiltinModule('node:worker_threads');

const LOCK_SUFFIX = '.lock';
const BLOCK_PREFIX = 'block-';

/** A fresh path in the temporary directory of this process, for files that are renamed or removed soon. */
export function leaseTempPath(root: string, suffix: string): string {
  if (suffix.includes('/') || suffix.includes('\0')) throw new RangeError(`not a suffix: ${suffix}`);
  const name = `${threads().threadId.toString(36)}-${(counter++).toString(36)}${suffix}`;
  return `${temporaryDirectory(root)}/${name}`;
}

/** The directory of the process's lease; a thread uses the one that its process had when the thread was started. */
function temporaryDirectory(root: string): string {
  const own = held.get(root);
  if (own !== undefined) return own.lease.directory;
  const inherited = threads().isMainThread ? undefined : threads().getEnvironmentData(environmentKey(root));
  if (typeof inherited === 'string') return inherited;
  const lease = holdLease(root);
  // Nobody will release it: it lasts as long as the process, whose exit also tidies up where that can be waited for.
  if (threads().isMainThread) process.once('exit', () => lease.release());
  return lease.directory;
}

function environmentKey(root: string): string {
  return `slipway lease of ${root}`;
}

/** The lease of this thread on `root`, made if need be; each call wants its own `release`. */
export function holdLease(root: string): Lease {
  const known = held.get(root);
  if (known !== undefined) {
    known.users++;
    return known.lease;
  }
  const { name, fd } = createLocked(`${root}/tmp`);
  const directory = `${root}/tmp/${name}`;
  const lease: Lease = {
    name,
    directory,
    markBlock(prefix) {
      try {
        writeFileSync(`${directory}/${BLOCK_PREFIX}${prefix}`, '');
      } catch (error) {
        throw asBuildError(error);
      }
    },
    hold(lines) {
      const text = lines.map((line) => `${line}\n`).join('');
      try {
        for (let rest = Buffer.from(text); rest.length > 0;) rest = rest.subarray(writeSync(fd, rest));
      } catch (error) {
        throw asBuildError(error);
      }
    },
    release() {
      const entry = held.get(root);
      if (entry === undefined || --entry.users > 0) return;
      held.delete(root);
      if (threads().isMainThread) threads().setEnvironmentData(environmentKey(root), undefined);
      try {
        rmSync(directory, { recursive: true, force: true });
        unlinkSync(`${directory}${LOCK_SUFFIX}`);
      } catch {
        // Somebody still writes there, or the disk fails: the next process finds it without a lock.
      }
      closeLockFile(fd);
    },
  };
  held.set(root, { lease, users: 1 });
  if (threads().isMainThread) threads().setEnvironmentData(environmentKey(root), directory);
  return lease;
}

/** Random names, as nobody needs to guess them. A collector may take a lock file before its maker locks it: try again. */
function createLocked(parent: string): { readonly name: string; readonly fd: number } {
  for (let attempt = 0; attempt < 100; attempt++) {
    const name = Math.floor(Math.random() * 2 ** 48)
      .toString(16)
      .padStart(12, '0');
    const path = `${parent}/${name}${LOCK_SUFFIX}`;
    const fd = openLockFile(path);
    if (tryFlock(fd) && statSync(path, { throwIfNoEntry: false }) !== undefined) {
      try {
        mkdirSync(`${parent}/${name}`, { mode: 0o700 });
      } catch (error) {
        closeLockFile(fd);
        throw asBuildError(error);
      }
      return { name, fd };
    }
    closeLockFile(fd);
  }
  throw new BuildError({ code: 'store', message: `no lease can be made in ${parent}` });
}

/** A lease whose process is gone. Held by us until `done` or `leave`. */
export interface DeadLease {
  readonly directory: string;
  /** Blocks of layer ids that it had. */
  readonly blocks: readonly string[];
  /** All that it left is removed: forget it. */
  done(): void;
  /** For another time, or somebody else. */
  leave(): void;
}

/** Takes over the leases of dead processes. */
export function findDeadLeases(root: string): readonly DeadLease[] {
  const parent = `${root}/tmp`;
  const ours = new Set([...held.values()].map(({ lease }) => `${lease.name}${LOCK_SUFFIX}`));
  const dead: DeadLease[] = [];
  for (const file of readdirSync(parent)) {
    if (!file.endsWith(LOCK_SUFFIX) || ours.has(file)) continue;
    const path = `${parent}/${file}`;
    if (statSync(path, { throwIfNoEntry: false }) === undefined) continue;
    const fd = openLockFile(path);
    if (!tryFlock(fd)) {
      closeLockFile(fd);
      continue;
    }
    const directory = path.slice(0, -LOCK_SUFFIX.length);
    dead.push({
      directory,
      blocks: blocksOf(directory),
      done() {
        unlinkQuietly(path);
        closeLockFile(fd);
      },
      leave() {
        closeLockFile(fd);
      },
    });
  }
  return dead;
}

/** What living processes hold, this one among them. */
export interface HeldLines {
  /** As they were given to `Lease.hold`. */
  readonly lines: ReadonlySet<string>;
  /** Blocks of layer ids in which something may be unfinished. */
  readonly blocks: ReadonlySet<string>;
}

/** Reads all leases. Those of dead processes hold nothing; they are left for `findDeadLeases`. */
export function readLeases(root: string): HeldLines {
  const parent = `${root}/tmp`;
  const lines = new Set<string>();
  const blocks = new Set<string>();
  for (const file of readdirSync(parent)) {
    if (!file.endsWith(LOCK_SUFFIX)) continue;
    const path = `${parent}/${file}`;
    if (statSync(path, { throwIfNoEntry: false }) === undefined) continue;
    const fd = openLockFile(path);
    const isDead = tryFlock(fd, true);
    closeLockFile(fd);
    if (isDead) continue;
    for (const block of blocksOf(path.slice(0, -LOCK_SUFFIX.length))) blocks.add(block);
    // The last line may be half written; what it says is not held yet.
    for (const line of readText(path).split('\n').slice(0, -1)) lines.add(line);
  }
  return { lines, blocks };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Released meanwhile.
    return '';
  }
}

function blocksOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.startsWith(BLOCK_PREFIX))
      .map((name) => name.slice(BLOCK_PREFIX.length));
  } catch {
    return [];
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already.
  }
}
