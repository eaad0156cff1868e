import { cancelled } from './errors.ts';

/**
 * At most `limit` holders of a key at once, in the order of asking. Returns what ends a hold.
 *
 * @throws BuildError `cancelled` when the signal comes first
 */
export function createSemaphore(limit: number): (key: string, signal: AbortSignal | undefined) => Promise<() => void> {
  const held = new Map<string, number>();
  const waiting = new Map<string, (() => void)[]>();

  function release(key: string): void {
    const next = waiting.get(key)?.shift();
    if (next !== undefined) next();
    else held.set(key, (held.get(key) ?? 1) - 1);
  }

  return async (key, signal) => {
    if (signal?.aborted === true) throw cancelled(signal);
    const count = held.get(key) ?? 0;
    if (count < limit) held.set(key, count + 1);
    else {
      await new Promise<void>((resolve, reject) => {
        const queue = waiting.get(key) ?? [];
        waiting.set(key, queue);
        const onAbort = (): void => {
          const index = queue.indexOf(enter);
          if (index !== -1) queue.splice(index, 1);
          reject(cancelled(signal));
        };
        const enter = (): void => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        queue.push(enter);
      });
    }
    let open = true;
    return () => {
      if (open) release(key);
      open = false;
    };
  };
}
