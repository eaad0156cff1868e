/**
 * A large context is looked at before anything is asked about it: all its directories, on all cores. What was seen is a
 * state with a digest, so that what was once found out about it need not be found out again.
 */
import { hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { TreePath } from '../../contracts/index.ts';
import { scanDirectories } from './scan-directories.ts';
import type { ThreadPool } from './thread-pool.ts';

export interface ScanRequest {
  readonly kind: 'scan';
  /** Host directory in tree form. */
  readonly base: string;
  /** Below it; those below them are read too. */
  readonly directories: readonly TreePath[];
  readonly patterns: readonly string[];
  /** Entries after which to stop. */
  readonly limit: number;
}

export interface ScannedDirectory {
  readonly path: TreePath;
  /** In one order whoever reads them, joined with NUL. */
  readonly names: string;
  /** Of the entries in the answer's `stats`. */
  readonly first: number;
  readonly count: number;
  /** Of path, names and stats. */
  readonly digest: string;
}

export interface ScanAnswer {
  readonly directories: readonly ScannedDirectory[];
  /** Not read yet. */
  readonly rest: readonly TreePath[];
  readonly stats: Float64Array<ArrayBuffer>;
  readonly entries: number;
  /** Milliseconds since the epoch: before that, a file may change again without its times telling. */
  readonly unsettledUntil: number;
}

/** What was seen, directory by directory. */
export interface Scan {
  readonly entries: number;
  readonly unsettledUntil: number;
  /** Digest of it all, whatever was handed out. */
  state(): string;
  /** Hands out what a directory holds, once. */
  take(path: TreePath): Listing | undefined;
}

/** A directory's names, bytewise, and what a stat says of each. */
export interface Listing {
  readonly names: readonly string[];
  /** As `lstatInto` writes them. */
  readonly stats: Float64Array<ArrayBuffer>;
  /** Index of the first name's; the others' follow. */
  readonly first: number;
}

/** Entries that this thread reads at a time, a few milliseconds; and a thread, so that messages do not count. */
const OWN_BATCH = 1000;
const THREAD_BATCH = 4000;
/** Entries that this thread reads alone: threads take 25 ms to start. */
const ALONE = 4000;

/** @throws Error the system's own */
export async function scan(
  base: string,
  path: TreePath,
  patterns: readonly string[],
  pool: ThreadPool,
  signal: AbortSignal,
): Promise<Scan> {
  const queue: TreePath[] = [path];
  const answers: ScanAnswer[] = [];
  let entries = 0;
  let asked = 0;
  let failure: Error | undefined;
  const take = (answer: ScanAnswer): void => {
    answers.push(answer);
    entries += answer.entries;
    queue.push(...answer.rest);
  };
  const running = new Set<Promise<void>>();
  const request = (limit: number, share: number): ScanRequest => {
    const directories = queue.splice(0, Math.max(1, share));
    return { kind: 'scan', base, directories, patterns, limit };
  };
  // Two requests a thread: one in work, one at its door. This thread takes its part.
  const helpers = Math.max(1, pool.size - 1);
  while (queue.length > 0 || asked > 0) {
    signal.throwIfAborted();
    while (entries >= ALONE && queue.length > 1 && asked < helpers * 2) {
      asked++;
      const work = pool
        .ask(request(THREAD_BATCH, Math.ceil(queue.length / (helpers * 2 + 1))), helpers, signal)
        .then(take, (error: unknown) => (failure ??= error instanceof Error ? error : new Error(String(error))))
        .then(() => {
          asked--;
          running.delete(work);
        });
      running.add(work);
    }
    if (queue.length > 0) take(scanDirectories(request(OWN_BATCH, 1)));
    if (asked > 0) await (queue.length > 0 ? setImmediate() : Promise.race(running));
    if (failure !== undefined) break;
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure;
  return scanOf(answers, entries);
}

function scanOf(answers: readonly ScanAnswer[], entries: number): Scan {
  const found = new Map<TreePath, readonly [ScannedDirectory, Float64Array<ArrayBuffer>]>();
  for (const { directories, stats } of answers) {
    for (const directory of directories) found.set(directory.path, [directory, stats]);
  }
  let digest: string | undefined;
  const state = (): string => {
    const digests = Array.from(found.values(), ([directory]) => directory.digest).sort();
    return hash('sha256', digests.join('\n'));
  };
  return {
    entries,
    unsettledUntil: Math.max(0, ...answers.map(({ unsettledUntil }) => unsettledUntil)),
    state: () => (digest ??= state()),
    take(path) {
      const known = found.get(path);
      if (known === undefined) return undefined;
      digest ??= state();
      found.delete(path);
      const [{ names, first, count }, stats] = known;
      return { names: count === 0 ? [] : names.split('\0'), stats, first };
    },
  };
}
