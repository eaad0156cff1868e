import type { Store } from './types.ts';

export interface StoreOptions {
  /** The state directory; absent = {@link defaultRoot} of this process. */
  readonly root?: string | undefined;
}

export async function openStore(options: StoreOptions = {}): Promise<Store> {
  throw new Error(`not yet: ${options.root ?? ''}`);
}
