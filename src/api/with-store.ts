import { openStore, type Store } from '../store/index.ts';
import type { HostOptions } from './options.ts';

/**
 * Opens the store for one piece of work.
 *
 * @param onWait Hears in words of another process that keeps this one waiting.
 */
export async function withStore<T>(
  options: HostOptions,
  work: (store: Store) => Promise<T>,
  onWait?: (message: string) => void,
): Promise<T> {
  const env = options.env ?? process.env;
  const store = await openStore({
    root: options.root ?? env['SLIPWAY_ROOT'],
    onWait(holder) {
      onWait?.(waitingFor(holder));
      return () => undefined;
    },
  });
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

/** @param holder As the store knows it. */
export function waitingFor(holder: string | undefined): string {
  return `waiting for ${holder ?? 'another process'}`;
}
