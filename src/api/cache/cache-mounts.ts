import { existsSync } from 'node:fs';
import { BuildError, type BuildEventSink, type WorkContext } from '../../contracts/index.ts';
import { loadMountExport, type MountDestination } from '../../export/index.ts';
import { isMountNamed, mountTag, readSynced } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import { loadCacheMounts, type FoundMount, type MountPlace, type MountSource } from '../../source/index.ts';
import type { Store } from '../../store/index.ts';
import { holdCacheToFill, holdCacheToRead } from '../../worker/index.ts';
import { parseMountFrom, parseMountTo, type MountTarget } from './cache-mount-words.ts';
import type { BuildOptions } from '../options.ts';
import { cwdOf } from '../inputs/inputs.ts';
import { step } from '../records/steps.ts';

/** `--cache-mount-from` and `--cache-mount-to`, parsed. */
export interface MountWords {
  readonly from: readonly MountSource[];
  readonly to: readonly MountTarget[];
}

/** @throws BuildError `usage` */
export function parseMountWords(options: BuildOptions): MountWords {
  const cwd = cwdOf(options);
  return { from: parseMountFrom(options.cacheMountFrom ?? [], cwd), to: parseMountTo(options.cacheMountTo ?? [], cwd) };
}

/** A daemon keeps its cache mounts to itself. */
export function mountsStay(): BuildError {
  return new BuildError({
    code: 'unsupported',
    message: 'cache mounts of a BuildKit daemon do not travel',
    hint: 'leave out --cache-mount-from and --cache-mount-to, or build without --builder',
  });
}

/** Registries that may be spoken to in plain http. */
export function insecureMounts({ from, to }: MountWords): readonly string[] {
  return [...from, ...to].flatMap(({ place }) =>
    place.type === 'registry' && place.insecure ? [place.repository.slice(0, place.repository.indexOf('/'))] : [],
  );
}

/** The cache mounts of one build that travel. */
export interface TravellingMounts {
  /** For the worker: before a step uses a mount. Undefined when no mount travels. */
  readonly before: ((id: string, context: WorkContext) => Promise<void>) | undefined;
  /**
   * Gives the mounts that steps used to others.
   *
   * @throws BuildError only where it is insisted upon.
   */
  save(): Promise<void>;
}

export interface MountDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
}

export function openMounts({ from, to }: MountWords, deps: MountDeps): TravellingMounts {
  const { store, registry, events, signal } = deps;
  const used = new Map<string, Promise<void>>();

  /** A failure is a warning, unless it is insisted upon. */
  async function leniently<T>(
    { ignoreError }: MountSource,
    failed: string,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BuildError) || error.code === 'cancelled' || !ignoreError) throw error;
      const message = `${failed}: ${[error.message, ...error.detail].join('; ')}`;
      events({ type: 'warning', message, hint: error.hint });
      return undefined;
    }
  }

  /** From the first place that has it. */
  async function restore(id: string): Promise<void> {
    const { findMount, mountName, restoreMount } = await loadCacheMounts();
    for (const source of from) {
      if (source.id !== undefined && !isMountNamed(id, source.id)) continue;
      const name = mountName(source.place, source.scope, id);
      const done = await leniently(source, `the cache mount ${shown(id)} was not read from ${name}`, async () => {
        const found = await findMount(source.place, source.scope, id, { registry, signal });
        if (found === undefined) return false;
        await fill(id, found, restoreMount);
        return true;
      });
      if (done === true) return;
    }
  }

  async function fill(
    id: string,
    found: FoundMount,
    restoreMount: Awaited<ReturnType<typeof loadCacheMounts>>['restoreMount'],
  ): Promise<void> {
    const held = await holdCacheToFill(store.cacheDir(id), id, signal);
    // A step of another build uses it: it is warm.
    if (held === undefined) return;
    try {
      const known = existsSync(`${held.directory}/fs`) ? await readSynced(held.directory) : undefined;
      if (known?.place === found.name && known.manifest === found.digest) {
        await restoreMount(held.directory, found, { signal, onProgress: () => undefined });
        return;
      }
      await step(events, `[cache mount ${shown(id)}] restoring from ${found.name}`, async (bound) => {
        const started = Date.now();
        const report = (current: number, total: number, completed?: number): void => {
          const status = {
            id: found.name,
            name: 'receiving',
            current,
            total,
            timestamp: Date.now(),
            started,
            completed,
          };
          bound({ type: 'status', vertex: UNBOUND, ...status });
        };
        let all = 0;
        const onProgress = (bytes: number, total: number): void => report(bytes, (all = total));
        await restoreMount(held.directory, found, { signal, onProgress });
        report(all, all, Date.now());
      });
    } finally {
      held.release();
    }
  }

  async function saveTo(id: string, target: MountTarget): Promise<void> {
    const { findMount, mountName } = await loadCacheMounts();
    const { saveMount } = await loadMountExport();
    const name = mountName(target.place, target.scope, id);
    await leniently(target, `the cache mount ${shown(id)} was not written to ${name}`, async () => {
      const found = await findMount(target.place, target.scope, id, { registry, signal });
      const held = await holdCacheToRead(store.cacheDir(id), signal);
      if (held === undefined) return;
      try {
        await step(events, `[cache mount ${shown(id)}] saving to ${name}`, async (bound) => {
          const known = await readSynced(held.directory);
          const isKnown = found !== undefined && known?.place === name && known.manifest === found.digest;
          const current =
            found === undefined
              ? undefined
              : { digest: found.digest, index: isKnown ? known.index : await found.index() };
          const destination = destinationOf(target.place, mountTag(target.place.prefix, target.scope, id));
          const mount = { id, slot: held.directory, destination, name, current, maxSize: target.maxSize };
          const saved = await saveMount(
            mount,
            { store, registry, release: () => held.release() },
            { signal, events: bound },
          );
          if (saved !== undefined && saved.left > 0) {
            const message = `${saved.left} files of the cache mount ${shown(id)} do not fit into max-size and stay here`;
            events({ type: 'warning', message });
          }
        });
      } finally {
        held.release();
      }
    });
  }

  const travels = from.length > 0 || to.length > 0;
  return {
    before: !travels
      ? undefined
      : async (id, { anew }) => {
          let ready = used.get(id);
          // With --no-cache a mount starts empty.
          if (ready === undefined) used.set(id, (ready = anew === true ? Promise.resolve() : restore(id)));
          await ready;
        },
    async save() {
      for (const target of to) {
        for (const id of used.keys()) {
          if (target.id === undefined || isMountNamed(id, target.id)) await saveTo(id, target);
        }
      }
    },
  };
}

/** `step` puts the right one in. */
const UNBOUND = `sha256:${'0'.repeat(64)}` as const;

function destinationOf(place: MountPlace, tag: string): MountDestination {
  return place.type === 'registry'
    ? { type: 'registry', repository: place.repository, tag }
    : { type: 'local', directory: place.directory, tag };
}

/** What the Dockerfile calls it. */
function shown(id: string): string {
  return id.slice(id.indexOf('/') + 1);
}
