import { realpathSync, statSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import { compilePatterns } from '../../pattern/index.ts';
import type { Store } from '../../store/index.ts';
import type { ContextSnapshot, LocalContext } from '../types.ts';
import { createContextTree } from './context-tree.ts';
import type { FileHasher } from './hash-files.ts';
import { createStatCache } from './stat-cache.ts';
import type { StatCache } from './stat-cache.ts';
import type { ThreadPool } from './thread-pool.ts';

/** The local sources of one build. */
export interface LocalSources {
  /**
   * The same snapshot for the same arguments.
   *
   * @throws BuildError `context` when there is no such context or directory; `ignore-file` for bad patterns
   */
  snapshot(name: string, excludes: readonly string[]): ContextSnapshot;
  /** Writes the stat caches that have learned something. */
  close(): Promise<void>;
}

export function createLocalSources(options: {
  readonly contexts: ReadonlyMap<string, LocalContext>;
  /** Where stat caches are kept. */
  readonly store: Pick<Store, 'readStatCache' | 'writeStatCache'>;
  readonly hasher: FileHasher;
  readonly pool?: ThreadPool | undefined;
  readonly signal: AbortSignal;
}): LocalSources {
  const snapshots = new Map<string, ContextSnapshot>();
  /** By the directory's real path, so that two names for one directory share it. */
  const statCaches = new Map<string, Promise<StatCache>>();

  function statCacheOf(root: string): Promise<StatCache> {
    let cache = statCaches.get(root);
    if (cache === undefined) {
      cache = options.store.readStatCache(root).then(createStatCache);
      statCaches.set(root, cache);
    }
    return cache;
  }

  return {
    snapshot(name, excludes) {
      const key = JSON.stringify([name, excludes]);
      const known = snapshots.get(key);
      if (known !== undefined) return known;
      const context = options.contexts.get(name);
      if (context === undefined) {
        throw new BuildError({ code: 'context', message: `there is no build context named ${JSON.stringify(name)}` });
      }
      const root = directoryOf(context);
      // Patterns that come from the ignore file keep their lines, for explanations.
      const lines = new Map(context.ignore?.lines.map((line) => [line.pattern, line]));
      const matcher = compilePatterns(excludes.map((pattern) => lines.get(pattern) ?? pattern));
      const files = createContextTree({
        context: { ...context, directory: root },
        matcher,
        loadStatCache: () => statCacheOf(root),
        hasher: options.hasher,
        pool: options.pool,
        signal: options.signal,
      });
      const snapshot: ContextSnapshot = { layers: [], files, inPlace: true };
      snapshots.set(key, snapshot);
      return snapshot;
    },
    async close() {
      for (const [root, pending] of statCaches) {
        const cache = await pending.catch(() => undefined);
        // A lost cache only costs time: a full disk here must not fail a build that is done.
        if (cache?.changed === true) await options.store.writeStatCache(root, cache.encode()).catch(() => undefined);
      }
    },
  };
}

/** Links on the way to the context are the user's own doing and are followed. */
function directoryOf({ directory }: LocalContext): string {
  try {
    const root = realpathSync(directory);
    if (statSync(root).isDirectory()) return root;
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    throw new BuildError({
      code: denied ? 'permission' : 'context',
      message: denied
        ? `${directory} cannot be read: permission denied`
        : `the build context ${directory} does not exist`,
      cause: error,
    });
  }
  throw new BuildError({ code: 'context', message: `the build context ${directory} is not a directory` });
}
