import type { Store } from '../store/index.ts';

/** One task a key at a time: within this process by waiting for the same promise, across processes by the store's lock. */
export interface Flights<T> {
  /**
   * Joins the task that runs under `key` in this process, else waits for other processes and runs `task`. A task that
   * failed for another caller is tried again here.
   *
   * @param doing For others who wait: `which runs ...`.
   * @returns `joined` when the value was made by another caller in this process.
   */
  run(
    key: string,
    signal: AbortSignal,
    doing: string,
    task: () => Promise<T>,
  ): Promise<{ readonly value: T; readonly joined: boolean }>;
}

export function createFlights<T>(store: Pick<Store, 'lock'>): Flights<T> {
  const running = new Map<string, Promise<T>>();

  const locked = async (key: string, signal: AbortSignal, doing: string, task: () => Promise<T>): Promise<T> => {
    const lock = await store.lock(key, { signal, doing });
    try {
      return await task();
    } finally {
      lock.release();
    }
  };

  return {
    async run(key, signal, doing, task) {
      for (;;) {
        signal.throwIfAborted();
        const other = running.get(key);
        if (other === undefined) break;
        const value = await waitFor(other, signal);
        if (value !== undefined) return { value: value.made, joined: true };
      }
      const own = locked(key, signal, doing, task);
      running.set(key, own);
      try {
        return { value: await own, joined: false };
      } finally {
        running.delete(key);
      }
    },
  };
}

/** The value, or undefined when the other caller's task failed: its failure is its own (it may have been cancelled). */
function waitFor<T>(other: Promise<T>, signal: AbortSignal): Promise<{ readonly made: T } | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    const settle = (outcome: { readonly made: T } | undefined) => {
      signal.removeEventListener('abort', onAbort);
      resolve(outcome);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    other.then(
      (made) => settle({ made }),
      () => settle(undefined),
    );
  });
}
