import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { entryUrl } from '../../sys/entry.ts';
import { cancelled } from '../cancelled.ts';
import type { HashAnswer, HashRequest } from './hash-files.ts';
import type { ScanAnswer, ScanRequest } from './scan.ts';

/** What a thread is asked, with the number that its answer carries. */
export interface ThreadRequest {
  readonly id: number;
  readonly request: HashRequest | ScanRequest;
}
export interface ThreadAnswer {
  readonly id: number;
  readonly answer: HashAnswer | ScanAnswer | { readonly failure: Error };
}

/**
 * Threads that hash files and read directories with synchronous calls, the fast way to many small ones in Node. Started
 * when they are asked, ended when nobody has asked for a while: a Node of its own takes 12 MiB.
 */
export interface ThreadPool {
  /** How many there are at most. */
  readonly size: number;
  /** Asks the least busy; `threads` bounds how many are started for it. Rejects with `cancelled` when the signal fires. */
  ask(request: HashRequest, threads: number, signal: AbortSignal): Promise<HashAnswer>;
  ask(request: ScanRequest, threads: number, signal: AbortSignal): Promise<ScanAnswer>;
  /** Ends those that are idle now, where much else is to be done before they are asked again. */
  rest(): void;
  close(): Promise<void>;
}

/** More only wait for the disk. */
const THREADS_MAX = 8;
/** Milliseconds without a question until threads end; starting them again takes 25. */
const IDLE_MAX = 100;

interface Thread {
  readonly worker: Promise<Worker>;
  busy: number;
}

interface Waiting {
  readonly thread: Thread;
  readonly settle: (answer: ThreadAnswer | Error) => void;
}

export function createThreadPool(): ThreadPool {
  const size = Math.min(availableParallelism(), THREADS_MAX);
  const threads: Thread[] = [];
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let idle: NodeJS.Timeout | undefined;

  const isIdle = (): boolean => threads.every(({ busy }) => busy === 0);

  async function endAll(): Promise<void> {
    clearTimeout(idle);
    await Promise.all(threads.splice(0).map(async ({ worker }) => (await worker).terminate()));
  }

  async function start(): Promise<Worker> {
    const { Worker: ThreadWorker } = await import('node:worker_threads');
    const worker = new ThreadWorker(entryUrl(import.meta.url, './hash-thread.ts'));
    // Only questions that are open keep the process alive.
    worker.unref();
    worker.on('message', (answer: ThreadAnswer) => waiting.get(answer.id)?.settle(answer));
    worker.on('error', (error: Error) => {
      for (const open of [...waiting.values()]) open.settle(error);
    });
    return worker;
  }

  function leastBusy(limit: number): Thread {
    const best = threads.reduce<Thread | undefined>((a, b) => (a === undefined || b.busy < a.busy ? b : a), undefined);
    if (best !== undefined && (best.busy === 0 || threads.length >= Math.min(limit, size))) return best;
    const thread: Thread = { worker: start(), busy: 0 };
    threads.push(thread);
    return thread;
  }

  async function ask(
    request: HashRequest | ScanRequest,
    limit: number,
    signal: AbortSignal,
  ): Promise<HashAnswer | ScanAnswer> {
    if (signal.aborted) throw cancelled(signal);
    clearTimeout(idle);
    const thread = leastBusy(limit);
    thread.busy++;
    const worker = await thread.worker;
    worker.ref();
    const id = ++lastId;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => settle(cancelled(signal));
      const settle = (answer: ThreadAnswer | Error): void => {
        waiting.delete(id);
        signal.removeEventListener('abort', onAbort);
        if (--thread.busy === 0) worker.unref();
        if (isIdle()) idle = setTimeout(() => void endAll(), IDLE_MAX).unref();
        if (answer instanceof Error) reject(answer);
        else if ('failure' in answer.answer) reject(answer.answer.failure);
        else resolve(answer.answer);
      };
      waiting.set(id, { thread, settle });
      signal.addEventListener('abort', onAbort, { once: true });
      worker.postMessage({ id, request } satisfies ThreadRequest);
    });
  }

  return {
    size,
    ask: ask as ThreadPool['ask'],
    rest() {
      if (isIdle()) void endAll();
    },
    close: endAll,
  };
}
