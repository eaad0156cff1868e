/**
 * Threads for file work that would hold up the event loop: synchronous calls on a thread are the fastest way to many
 * small files. They inherit the executor's namespaces. As many as there are cores; the next job waits.
 */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { BuildError, type BuildErrorInit } from '../../contracts/index.ts';
import { entryUrl } from '../../sys/entry.ts';
import type { MaterializeInput } from './materialize.ts';
import type { SaveInput } from './save-tree.ts';

interface Jobs {
  readonly scan: SaveInput;
  readonly materialize: MaterializeInput;
}
export type JobKind = keyof Jobs;
export type Job = { readonly [K in JobKind]: { readonly kind: K; readonly input: Jobs[K] } }[JobKind];
/** To a thread: a job, or the end of the one that runs. */
export type ThreadRequest = Job | { readonly kind: 'cancel' };
/** From a thread; the value of a scan is the size of what it read. */
export type ThreadAnswer = { readonly value: number } | { readonly error: BuildErrorInit };

const idle: Worker[] = [];
const waiting: (() => void)[] = [];
let started = 0;

/** Runs a job on a thread. Errors: those of the job, `cancelled`. */
export async function onThread<K extends JobKind>(kind: K, input: Jobs[K], signal?: AbortSignal): Promise<number> {
  const thread = await take();
  try {
    const answer = await answerOf(thread, { kind, input } as Job, signal);
    if ('error' in answer) throw new BuildError(answer.error);
    give(thread);
    return answer.value;
  } catch (error) {
    // A BuildError is the job's; the thread is as good as before.
    if (error instanceof BuildError) give(thread);
    else drop(thread);
    throw error;
  }
}

function answerOf(thread: Worker, job: Job, signal: AbortSignal | undefined): Promise<ThreadAnswer> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      thread.postMessage({ kind: 'cancel' } satisfies ThreadRequest);
    };
    const stop = (): void => {
      signal?.removeEventListener('abort', cancel);
      thread.off('message', onMessage);
      thread.off('error', onError);
    };
    const onMessage = (answer: ThreadAnswer): void => {
      stop();
      resolve(answer);
    };
    const onError = (error: unknown): void => {
      stop();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    thread.on('message', onMessage);
    thread.on('error', onError);
    signal?.addEventListener('abort', cancel, { once: true });
    thread.postMessage(job);
  });
}

async function take(): Promise<Worker> {
  for (;;) {
    const free = idle.pop();
    if (free !== undefined) return free;
    if (started < availableParallelism()) {
      started++;
      const { Worker: Thread } = await import('node:worker_threads');
      // Descriptors that libc opened are closed by Node: it need not keep accounts.
      return new Thread(entryUrl(import.meta.url, './layer-thread.ts'), { trackUnmanagedFds: false });
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
}

function give(thread: Worker): void {
  idle.push(thread);
  waiting.shift()?.();
}

function drop(thread: Worker): void {
  started--;
  void thread.terminate();
  waiting.shift()?.();
}
