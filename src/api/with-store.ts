import { openStore, type Store } from '../store/index.ts';
import type { HostOptions } from './options.ts';

/** Opens the store for one piece of work. */
export async function withStore<T>(options: HostOptions, work: (store: Store) => Promise<T>): Promise<T> {
  const env = options.env ?? process.env;
  const store = await openStore({ root: options.root ?? env['SLIPWAY_ROOT'] });
  try {
    return await work(store);
  } finally {
    store.close();
  }
}
