import { BuildError, type Snapshot, type SolveResult } from '../../contracts/index.ts';
import { loadCacheExport, type CachedBuild, type CacheTarget } from '../../export/index.ts';
import { isForeignLayer, parseReference, repositoryName } from '../../image/index.ts';
import type { Descriptor } from '../../image/index.ts';
import type { RemoteRecords } from '../../solver/index.ts';
import { createCacheImports, type CacheImport } from '../../source/index.ts';
import type { Store } from '../../store/index.ts';
import { parseCacheFrom, parseCacheTo } from './cache-words.ts';
import type { BuildOptions } from '../options.ts';
import { cwdOf } from '../inputs/inputs.ts';
import type { Session } from '../session.ts';
import { step } from '../records/steps.ts';

/** `--cache-from` and `--cache-to`, parsed. */
export interface CacheWords {
  readonly from: readonly CacheImport[];
  readonly to: readonly CacheTarget[];
}

/** @throws BuildError `usage`, `unsupported` */
export function parseCacheWords(options: BuildOptions): CacheWords {
  const cwd = cwdOf(options);
  return { from: parseCacheFrom(options.cacheFrom ?? [], cwd), to: parseCacheTo(options.cacheTo ?? [], cwd) };
}

/** The caches of one build. */
export interface BuildCache {
  /** For the engine. Undefined when there is none to read. */
  readonly remote: RemoteRecords | undefined;
  /** Whether somebody wants the bytes of the result for a cache. */
  readonly writes: boolean;
  /**
   * Does the work of a build, and again without them when layers of caches turn out to be damaged or gone: a cache never
   * fails a build.
   */
  despiteCaches<T>(work: () => Promise<T>): Promise<T>;
  /** Brings the bytes of a result here, before anything is written of it that cannot be written twice. */
  fetch(solved: readonly SolveResult[]): Promise<void>;
  /**
   * Fields for the config of an image that carries its own cache; empty when nobody asked.
   *
   * @param epoch That bounds the times of the image's layers.
   */
  inline(solved: SolveResult, epoch: number | undefined): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Writes the caches, after the result has gone to its destinations.
   *
   * @param epochs Those that bound the times of the layers of images, parallel to `solved`.
   * @param pushed Repositories that the result went to.
   * @throws BuildError only for a cache that is insisted upon.
   */
  write(
    solved: readonly SolveResult[],
    epochs: readonly (number | undefined)[],
    pushed: readonly string[],
  ): Promise<readonly Descriptor[]>;
}

/** @throws BuildError when a cache that is insisted upon cannot be read. */
export async function openCache(
  { from, to }: CacheWords,
  { store, registry, sources, events, signal }: Pick<Session, 'store' | 'registry' | 'sources' | 'events' | 'signal'>,
): Promise<BuildCache> {
  const imports = createCacheImports(from, {
    registry,
    sources,
    events,
    signal,
    step: async (name, work) => await step(events, name, async () => await work()),
  });
  if (from.some(({ ignoreError }) => !ignoreError)) await imports.load();

  const inlined = to.some(({ type }) => type === 'inline');
  const targets = to.filter((target) => target.type !== 'inline');

  async function writeTo(
    target: (typeof targets)[number],
    builds: readonly CachedBuild[],
    mountFrom: readonly string[],
  ): Promise<Descriptor | undefined> {
    const name = target.type === 'registry' ? `${target.repository}:${target.tag}` : target.dest;
    try {
      const { exportCache } = await loadCacheExport();
      return await step(
        events,
        `exporting cache to ${target.type === 'registry' ? 'registry' : 'client directory'}`,
        (bound) => exportCache(target, builds, { store, registry, mountFrom }, { signal, events: bound }),
      );
    } catch (error) {
      if (!(error instanceof BuildError) || error.code === 'cancelled' || !target.ignoreError) throw error;
      const message = `the cache was not written to ${name}: ${[error.message, ...error.detail].join('; ')}`;
      events({ type: 'warning', message, hint: error.hint });
      return undefined;
    }
  }

  return {
    remote: from.length === 0 ? undefined : imports,
    writes: targets.length > 0,
    async despiteCaches(work) {
      for (;;) {
        const broken = sources.brokenLayers;
        try {
          return await work();
        } catch (error) {
          if (!(error instanceof BuildError) || signal.aborted || sources.brokenLayers === broken) throw error;
          const message = `a layer from a cache cannot be used, its step runs instead: ${error.message}`;
          events({ type: 'warning', message, hint: error.hint });
        }
      }
    },
    async fetch(solved) {
      for (const { snapshot } of solved) await fetchRemote(snapshot, store);
    },
    async inline(solved, epoch) {
      if (!inlined) return {};
      const { inlineCache } = await loadCacheExport();
      return inlineCache({ records: await solved.records(), result: solved.snapshot, epoch }, store);
    },
    async write(solved, epochs, pushed) {
      if (targets.length === 0) return [];
      const builds: CachedBuild[] = [];
      for (const [i, one] of solved.entries()) {
        builds.push({ records: await one.records(), result: one.snapshot, epoch: epochs[i] });
      }
      const written: Descriptor[] = [];
      for (const target of targets) {
        const descriptor = await writeTo(target, builds, pushed);
        if (descriptor !== undefined) written.push(descriptor);
      }
      return written;
    },
  };
}

/** Layers whose bytes are somewhere else. */
async function fetchRemote({ layers }: Snapshot, store: Store): Promise<void> {
  const absent = layers.filter(({ id }) => {
    const row = store.layer(id);
    if (row === undefined || row.hasDir || row.blobs.every(isForeignLayer)) return false;
    return !row.blobs.some(({ local }) => local);
  });
  await Promise.all(absent.map(async (layer) => await layer.blob()));
}

/** Where blobs of an image with these names may be. */
export function repositoriesOf(names: readonly string[]): readonly string[] {
  return [...new Set(names.map((name) => repositoryName(parseReference(name))))];
}
