import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { BuildError } from '../../contracts/index.ts';
import { entryUrl } from '../../sys/entry.ts';
import { cancelled } from '../cancelled.ts';
import { hashFile } from './hash-file.ts';

/** A file to hash: its host path in tree form, and its size as it was seen. */
export interface FileToHash {
  readonly path: string;
  readonly size: number;
}

/** What a thread is asked, and answers. */
export interface HashRequest {
  readonly paths: readonly string[];
}
export interface HashAnswer {
  /** 32 bytes a file, in the order asked. */
  readonly digests: Uint8Array<ArrayBuffer>;
  /** Bytes read, or -1 where reading failed. */
  readonly sizes: Float64Array<ArrayBuffer>;
  /** `errno` names by index. */
  readonly failures: readonly (readonly [number, string])[];
}

/** Hashes files with synchronous calls, on this thread while that is quicker than starting others. */
export interface FileHasher {
  /**
   * sha256 of each file, 32 bytes, in the order asked.
   *
   * @throws BuildError `permission` or `context` with the path; `context` when a file is of another size than said.
   */
  hash(files: readonly FileToHash[], signal: AbortSignal): Promise<readonly Uint8Array[]>;
  close(): Promise<void>;
}

/** Rough costs, to choose: nanoseconds to open, stat and close a small file; to read and hash a byte. */
const FILE_COST = 6000;
const BYTE_COST = 1;
/** A thread takes 25 ms to start; below this much work (nanoseconds) it does not pay. */
const INLINE_COST_MAX = 60e6;
/** Work handed over at once: enough to hide the messages, little enough that threads end together. */
const BATCH_COST = 20e6;
const THREADS_MAX = 8;

/** @param inlineCostMax Nanoseconds of estimated work up to which no thread is used. */
export function createFileHasher(inlineCostMax = INLINE_COST_MAX): FileHasher {
  const threads: Worker[] = [];

  return {
    async hash(files, signal) {
      const results = new Array<Uint8Array>(files.length);
      const cost = files.reduce((sum, file) => sum + costOf(file), 0);
      if (cost <= inlineCostMax) {
        for (const [i, file] of files.entries()) results[i] = checked(file, hashFile(file.path));
        return results;
      }
      const batches = batchesOf(files);
      const wanted = Math.min(availableParallelism(), THREADS_MAX, batches.length);
      while (threads.length < wanted) threads.push(await startThread());
      let next = 0;
      const work = async (thread: Worker): Promise<void> => {
        for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
          const { from, to } = batch;
          const answer = await ask(thread, { paths: files.slice(from, to).map((file) => file.path) }, signal);
          for (let i = from; i < to; i++) {
            const file = files[i];
            if (file === undefined) continue;
            const at = i - from;
            const code = answer.failures.find(([index]) => index === at)?.[1];
            const digest = answer.digests.subarray(at * 32, at * 32 + 32);
            results[i] = checked(file, code ?? { digest, size: answer.sizes[at] ?? -1 });
          }
        }
      };
      const using = threads.slice(0, wanted);
      for (const thread of using) thread.ref();
      try {
        await Promise.all(using.map(work));
      } catch (error) {
        // Others may still be at work for this call: they are not fit for the next.
        for (const thread of threads.splice(0)) void thread.terminate();
        throw error;
      }
      for (const thread of using) thread.unref();
      return results;
    },
    async close() {
      await Promise.all(threads.splice(0).map((thread) => thread.terminate()));
    },
  };
}

function costOf(file: FileToHash): number {
  return FILE_COST + file.size * BYTE_COST;
}

function batchesOf(files: readonly FileToHash[]): readonly { readonly from: number; readonly to: number }[] {
  const batches: { from: number; to: number }[] = [];
  let from = 0;
  let cost = 0;
  for (const [i, file] of files.entries()) {
    cost += costOf(file);
    if (cost < BATCH_COST && i < files.length - 1) continue;
    batches.push({ from, to: i + 1 });
    from = i + 1;
    cost = 0;
  }
  return batches;
}

async function startThread(): Promise<Worker> {
  const { Worker } = await import('node:worker_threads');
  const thread = new Worker(entryUrl(import.meta.url, './hash-thread.ts'));
  thread.unref();
  return thread;
}

function ask(thread: Worker, request: HashRequest, signal: AbortSignal): Promise<HashAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      thread.off('message', onMessage);
      thread.off('error', onError);
      thread.off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
      then();
    };
    const onMessage = (answer: HashAnswer): void => settle(() => resolve(answer));
    const onError = (error: Error): void => settle(() => reject(error));
    const onExit = (): void => settle(() => reject(cancelled(signal)));
    const onAbort = onExit;
    if (signal.aborted) {
      onAbort();
      return;
    }
    thread.on('message', onMessage);
    thread.on('error', onError);
    thread.on('exit', onExit);
    signal.addEventListener('abort', onAbort, { once: true });
    thread.postMessage(request);
  });
}

function checked(
  file: FileToHash,
  result: string | { readonly digest: Uint8Array; readonly size: number },
): Uint8Array {
  if (typeof result === 'string') {
    const denied = result === 'EACCES' || result === 'EPERM';
    throw new BuildError({
      code: denied ? 'permission' : 'context',
      message: denied ? `${file.path} cannot be read: permission denied` : `${file.path} cannot be read (${result})`,
      hint: denied
        ? 'make it readable, or exclude it in .dockerignore'
        : result === 'ENOENT'
          ? 'it was removed while the build was reading it; build again'
          : undefined,
    });
  }
  if (result.size !== file.size) {
    throw new BuildError({
      code: 'context',
      message: `${file.path} changed while the build was reading it`,
      hint: 'build again when nothing writes to it, or exclude it in .dockerignore',
    });
  }
  return result.digest;
}
