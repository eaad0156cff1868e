import type { ContextTree, LocalContext } from '../types.ts';
import { createFileHasher } from './hash-files.ts';
import { createLocalSources } from './local.ts';
import { createThreadPool } from './thread-pool.ts';

/** Build contexts for those who only list and read them, without a store: nothing is hashed, nothing is remembered. */
export function createContexts(
  contexts: ReadonlyMap<string, LocalContext>,
  signal: AbortSignal,
): (name: string, excludes: readonly string[]) => ContextTree | undefined {
  const store = { readStatCache: async () => undefined, writeStatCache: async () => undefined };
  const local = createLocalSources({ contexts, store, hasher: createFileHasher(createThreadPool()), signal });
  return (name, excludes) => (contexts.has(name) ? local.snapshot(name, excludes).files : undefined);
}
