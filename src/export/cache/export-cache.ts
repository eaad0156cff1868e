import type { ExportContext } from '../../contracts/index.ts';
import type { Descriptor } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Store } from '../../store/index.ts';
import { reported } from '../progress-report.ts';
import { collectCache } from './collect.ts';
import { cacheDocuments } from './documents.ts';
import { pushCache } from './push-cache.ts';
import type { CachedBuild, LocalCache, RegistryCache } from './target.ts';
import { writeCacheLayout } from './write-layout.ts';

export interface CacheExportDeps {
  readonly store: Store;
  readonly registry: Registry;
  /** Repositories that this build pushed to. */
  readonly mountFrom: readonly string[];
}

/**
 * Writes the cache of a build, all its platforms together.
 *
 * @returns The descriptor of what was written.
 * @throws BuildError `registry`, `auth`, `export`, `disk-full`, ...; the cache that was there is untouched then.
 */
export async function exportCache(
  target: RegistryCache | LocalCache,
  builds: readonly CachedBuild[],
  deps: CacheExportDeps,
  context: ExportContext,
): Promise<Descriptor> {
  const { store } = deps;
  const collected = await reported(context.events, 'preparing build cache for export', () =>
    collectCache(builds, target, store, context),
  );
  if (collected.left > 0) {
    context.events({
      type: 'warning',
      message: `${collected.left} results were left out of the cache: it can hold 1000 layers`,
    });
  }
  const documents = cacheDocuments(collected, target);
  if (target.type === 'local') await writeCacheLayout(target, collected.blobs, documents, store, context);
  else await pushCache(target, collected.blobs, documents, deps, context);
  return documents.manifest;
}
