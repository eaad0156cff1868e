import type { BuildEventSink } from '../../contracts/index.ts';
import { createRegistry, parseMirrors, type Registry } from '../../registry/index.ts';
import { createSources, type Sources } from '../../source/index.ts';
import type { Store } from '../../store/index.ts';
import { withStore } from '../with-store.ts';
import type { TransferOptions } from './types.ts';

/** What images are moved with. */
export interface Rooms {
  readonly store: Store;
  readonly registry: Registry;
  readonly sources: Sources;
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
}

export async function withRooms<T>(options: TransferOptions, work: (rooms: Rooms) => Promise<T>): Promise<T> {
  const env = options.env ?? process.env;
  const signal = options.signal ?? new AbortController().signal;
  const events = options.onEvent ?? (() => undefined);
  const mirrors = parseMirrors([...(options.mirrors ?? []), env['SLIPWAY_MIRRORS'] ?? ''].join(';'));
  return await withStore(options, async (store) => {
    const registry = createRegistry({ mirrors, env, signal });
    const sources = createSources({ store, registry, contexts: new Map(), pull: true, events, signal, env });
    try {
      return await work({ store, registry, sources, events, signal });
    } finally {
      await sources.close();
      await registry.close();
    }
  });
}
