import { BuildError } from '../../contracts/index.ts';
import type { BuildEventSink, LayerId } from '../../contracts/index.ts';
import type { PortableRecord } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Sources } from '../types.ts';
import { loadCache, nameOf } from './load-cache.ts';
import type { LoadedCache } from './load-cache.ts';
import type { CacheImport, CacheImports, CachedRecord } from './types.ts';

export interface CacheImportDeps {
  readonly registry: Registry;
  readonly sources: Pick<Sources, 'cachedLayer'>;
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
  /** Shows work of ours as a step of the build. */
  readonly step: <T>(name: string, work: () => Promise<T>) => Promise<T>;
}

interface Offer {
  readonly record: PortableRecord;
  readonly from: LoadedCache;
}

/**
 * The caches of a build, asked in the order given. Nothing is read before something is asked for: a build that finds
 * everything at home needs none. A cache that cannot be read is a warning, unless it is insisted upon.
 */
export function createCacheImports(specs: readonly CacheImport[], deps: CacheImportDeps): CacheImports {
  let offers: Promise<ReadonlyMap<string, Offer>> | undefined;
  const found = new Map<string, Promise<CachedRecord | undefined>>();

  async function readAll(): Promise<ReadonlyMap<string, Offer>> {
    const caches = await Promise.all(specs.map((spec) => read(spec)));
    const byKey = new Map<string, Offer>();
    for (const from of caches.flat()) {
      for (const record of from.cache.records) {
        for (const key of [record.key, record.lookup, record.definition]) {
          if (!byKey.has(key)) byKey.set(key, { record, from });
        }
      }
    }
    return byKey;
  }

  async function read(spec: CacheImport): Promise<readonly LoadedCache[]> {
    const name = nameOf(spec);
    try {
      return await deps.step(`importing cache manifest from ${name}`, async () => {
        const caches = await loadCache(spec, deps);
        if (caches.length === 0) warn(`${name} holds no cache that slipway can use`);
        return caches;
      });
    } catch (error) {
      if (!(error instanceof BuildError) || error.code === 'cancelled' || !spec.ignoreError) throw error;
      if (error.code === 'image-not-found') warn(`there is no cache ${name} yet: ${error.message}`);
      else warn(`the cache ${name} is not used: ${[error.message, ...error.detail].join('; ')}`, error.hint);
      return [];
    }
  }

  function warn(message: string, hint?: string): void {
    deps.events({ type: 'warning', message, hint });
  }

  async function open({ record, from }: Offer): Promise<CachedRecord | undefined> {
    const ids = new Map<number, LayerId>();
    for (const index of new Set(record.outputs.flat())) {
      const layer = from.cache.layers[index];
      const id = layer === undefined ? undefined : await deps.sources.cachedLayer(layer, from.origin);
      if (id === undefined) return undefined;
      ids.set(index, id);
    }
    const { key, lookup, created, inputs } = record;
    return {
      key,
      lookup,
      created,
      inputs,
      outputs: record.outputs.map((chain) => chain.flatMap((index) => ids.get(index) ?? [])),
    };
  }

  const load = (): Promise<ReadonlyMap<string, Offer>> => (offers ??= readAll());
  return {
    async load() {
      await load();
    },
    async find(key) {
      if (specs.length === 0) return undefined;
      const offer = (await load()).get(key);
      if (offer === undefined) return undefined;
      let opened = found.get(offer.record.key);
      if (opened === undefined) found.set(offer.record.key, (opened = open(offer)));
      return await opened;
    },
  };
}
