import { BuildError, isDigest } from '../contracts/index.ts';
import type { BuildEvent, Digest, Layer, LayerId, SourceLocation, WorkContext } from '../contracts/index.ts';
import {
  boundedLayer,
  chainId,
  digestOf,
  isBaseLayer,
  noteBoundedLayer,
  referenceToString,
  snapshotOf,
} from '../image/index.ts';
import type { GitDeps } from './git/source.ts';
import type { Download, HttpDeps } from './http.ts';
import { createStoreLayer } from './layer.ts';
import type { LayerDeps } from './layer.ts';
import { findLayoutImage, findRegistryImage, imageReference } from './image/resolve.ts';
import type { FoundImage } from './image/resolve.ts';
import { cachedLayerRow, imageLayerRow, isReachable } from './image/rows.ts';
import { createFileHasher } from './local/hash-files.ts';
import { createLocalSources } from './local/local.ts';
import { createThreadPool } from './local/thread-pool.ts';
import type { PinKind } from './pins.ts';
import { SILENT, reportLayer } from './progress.ts';
import type { Platform, ResolvedImage, SourceVertex, Sources, SourcesOptions } from './types.ts';
import { isUpload, takeUpload } from './upload.ts';

/** Machines without a platform in their vertex: what this process runs on. */
const HOST: Platform = {
  os: 'linux',
  architecture: { x64: 'amd64', ia32: '386' }[process.arch as string] ?? process.arch,
};

export function createSources(options: SourcesOptions): Sources {
  const { store, registry, events } = options;
  // A build that failed elsewhere still downloads; `close` ends that.
  const closing = new AbortController();
  const signal = AbortSignal.any([options.signal, closing.signal]);
  const underWay = new Set<Promise<unknown>>();
  const track = <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work);
    const done = (): boolean => underWay.delete(work);
    work.then(done, done);
    return work;
  };

  const pool = createThreadPool();
  const hasher = createFileHasher(pool);
  const local = createLocalSources({ contexts: options.contexts, store, hasher, pool, signal });
  /** By reference and platform: one build asks once. */
  const images = new Map<string, Promise<FoundImage>>();
  const layers = new Map<LayerId, Layer>();
  /** The source vertex under which a layer's progress is shown. */
  const shownUnder = new Map<LayerId, Digest>();

  /** By layer of a cache: whether its bytes can still be had. */
  const reachable = new Map<LayerId, Promise<boolean>>();
  let brokenLayers = 0;
  const broken = new Set<LayerId>();

  const layerDeps: LayerDeps = {
    store,
    registry,
    hasher,
    signal,
    track,
    failed(id) {
      const row = store.layer(id);
      if (row === undefined || isBaseLayer(row, store)) return;
      reachable.set(id, Promise.resolve(false));
      broken.add(id);
      brokenLayers++;
    },
    skipped(id, digest) {
      const message = `the foreign layer ${digest} is not pulled: its files are taken not to be there`;
      events({ type: 'warning', vertex: shownUnder.get(id), message });
    },
    progress(id, digest, size) {
      const vertex = shownUnder.get(id);
      return vertex === undefined ? SILENT : reportLayer(events, vertex, digest, size);
    },
  };

  /** One that turned out to be damaged is made again from the layer itself. */
  function boundedOf(id: LayerId, epoch: number): Layer | undefined {
    const bounded = boundedLayer(id, epoch, store);
    const isUsable = bounded !== undefined && !broken.has(bounded) && store.layer(bounded) !== undefined;
    return isUsable ? storeLayer(bounded) : undefined;
  }

  function storeLayer(id: LayerId): Layer {
    let layer = layers.get(id);
    if (layer === undefined) {
      layer = { ...createStoreLayer(id, layerDeps), bounded: (epoch) => boundedOf(id, epoch) };
      layers.set(id, layer);
    }
    return layer;
  }

  function once(key: string, find: () => Promise<FoundImage>): Promise<FoundImage> {
    let found = images.get(key);
    if (found === undefined) {
      found = track(find());
      images.set(key, found);
    }
    return found;
  }

  function registryImage(identifier: string, platform: Platform, pull: boolean): Promise<FoundImage> {
    const named = imageReference(identifier);
    const name = referenceToString(named);
    const digest = named.digest ?? pinnedDigest('image', name);
    const reference = digest === undefined ? named : { ...named, digest };
    const key = `${digest ?? name} ${platformKey(platform)}`;
    const found = once(key, () => findRegistryImage(reference, platform, pull, { store, registry, signal }));
    if (named.digest === undefined) tell('image', name, found, (image) => image.digest);
    return found;
  }

  function pinnedDigest(kind: PinKind, name: string): Digest | undefined {
    const pin = options.pins?.find(kind, name);
    return pin !== undefined && isDigest(pin) ? pin : undefined;
  }

  function tell<T>(kind: PinKind, name: string, found: Promise<T>, value: (found: T) => string): void {
    // Who waits for `found` hears of its failure.
    found.then(
      (result) => options.pins?.saw(kind, name, value(result)),
      () => undefined,
    );
  }

  function layoutImage(text: string, platform: Platform): Promise<FoundImage> {
    return once(`${text} ${platformKey(platform)}`, () => findLayoutImage(text, platform, { store, signal }));
  }

  function vertexImage(vertex: SourceVertex): Promise<FoundImage> {
    const { identifier, attrs } = sourceOf(vertex);
    const platform = vertex.platform ?? HOST;
    if (identifier.startsWith('docker-image://')) {
      return registryImage(identifier, platform, attrs['image.resolvemode'] === 'pull');
    }
    // BuildKit's form: a dummy name with the digest, and the layout in an attribute of its own.
    const path = attrs['oci.store'];
    const digest = /@(sha256:[0-9a-f]{64})$/.exec(identifier)?.[1];
    return layoutImage(path === undefined || digest === undefined ? identifier : `${path}@${digest}`, platform);
  }

  /** By URL and attributes. */
  const downloads = new Map<string, Promise<Download>>();

  async function downloaded(vertex: SourceVertex): Promise<Download> {
    const { identifier, attrs } = sourceOf(vertex);
    const key = JSON.stringify([identifier, attrs]);
    let found = downloads.get(key);
    if (found === undefined) {
      const deps: HttpDeps = { store, registry, events, signal, offline: options.offline };
      // What comes from standard input is nothing to pin.
      const isPinned = attrs['http.checksum'] !== undefined || isUpload(identifier);
      const checksum = isPinned ? undefined : pinnedDigest('url', identifier);
      const wanted = checksum === undefined ? attrs : { ...attrs, 'http.checksum': checksum };
      found = track(import('./http.ts').then(({ download }) => download(identifier, vertex.digest, wanted, deps)));
      downloads.set(key, found);
      if (!isPinned) tell('url', identifier, found, ({ digest }) => digest);
    }
    return found;
  }

  /** Commits by what was asked for. */
  const commits = new Map<string, Promise<string>>();
  const gitDeps: GitDeps = {
    store,
    hasher,
    signal,
    env: options.env ?? process.env,
    secret: options.secret,
    ssh: options.ssh,
    offline: options.offline,
  };
  /** By key: a build reads the Dockerfile of a repository before it is asked for the rest. */
  const gitLayers = new Map<string, Promise<LayerId>>();

  async function gitSource(vertex: SourceVertex) {
    const { parseGitSource, resolveCommit, gitKey, gitLayer } = await import('./git/source.ts');
    const { identifier, attrs } = sourceOf(vertex);
    const named = parseGitSource(identifier, attrs);
    const name = `${named.remote}#${named.ref ?? ''}`;
    const pin = named.checksum === undefined ? options.pins?.find('git', name) : undefined;
    const source = pin === undefined ? named : { ...named, ref: pin };
    const asked = JSON.stringify([source.remote, source.ref, source.checksum]);
    let commit = commits.get(asked);
    if (commit === undefined) commits.set(asked, (commit = resolveCommit(source, gitDeps)));
    if (named.checksum === undefined) tell('git', name, commit, (found) => found);
    const found = await commit;
    const key = gitKey(found, source);
    const layer = (): Promise<LayerId> => {
      let made = gitLayers.get(key);
      if (made === undefined) gitLayers.set(key, (made = track(gitLayer(source, found, gitDeps))));
      return made;
    };
    return { key, layer };
  }

  /** The row of a layer that one of the images of this build has. */
  async function imageLayer(diffId: Digest): Promise<LayerId | undefined> {
    for (const asked of images.values()) {
      const image = await asked.catch(() => undefined);
      const index = image?.diffIds.indexOf(diffId) ?? -1;
      if (image !== undefined && index !== -1) return imageLayerRow(image, index, { store });
    }
    return store.findLayer({ diffId });
  }

  const sources: Sources = {
    async resolveImage(ref, platform, kind, location) {
      return reported(`[internal] load metadata for ${ref}`, location, events, async () => {
        if (kind === 'oci-layout') {
          const image = await layoutImage(ref, platform);
          const named = ref.replace(/@sha256:[0-9a-f]{64}$/, '');
          return resolvedImage(`${named}@${image.digest}`, image);
        }
        const image = await registryImage(ref, platform, options.pull === true);
        return resolvedImage(referenceToString({ ...imageReference(ref), digest: image.digest }), image);
      });
    },

    async imageSnapshot(vertex) {
      const image = await vertexImage(vertex);
      const ids = image.diffIds.map((_, index) => imageLayerRow(image, index, { store }));
      for (const id of ids) if (!shownUnder.has(id)) shownUnder.set(id, vertex.digest);
      return snapshotOf(ids.map(storeLayer));
    },

    localSnapshot: (name, excludes) => local.snapshot(name, excludes),

    async sourceKey(vertex, context) {
      const { identifier } = sourceOf(vertex);
      switch (schemeOf(identifier)) {
        case 'docker-image':
        case 'oci-layout': {
          // Layers of equal content are equal whatever the registry, name or platform they came under.
          const { diffIds } = await at(context, vertexImage(vertex));
          return `image ${chainId(diffIds) ?? 'scratch'}`;
        }
        case 'local':
          return undefined;
        case 'http':
        case 'https': {
          const { downloadKey } = await import('./http.ts');
          return downloadKey(await at(context, downloaded(vertex)));
        }
        case 'git':
          return (await at(context, gitSource(vertex))).key;
        default:
          throw unsupported(identifier);
      }
    },

    async snapshot(vertex, context) {
      const { identifier, attrs } = sourceOf(vertex);
      switch (schemeOf(identifier)) {
        case 'docker-image':
        case 'oci-layout':
          return at(context, sources.imageSnapshot(vertex, context));
        case 'local':
          return local.snapshot(identifier.slice('local://'.length), patternsOf(attrs['local.excludepatterns']));
        case 'http':
        case 'https': {
          const { downloadLayer } = await import('./http.ts');
          return snapshotOf([storeLayer(await downloadLayer(await at(context, downloaded(vertex)), store))]);
        }
        case 'git': {
          const { layer } = await at(context, gitSource(vertex));
          return snapshotOf([storeLayer(await at(context, layer()))]);
        }
        default:
          throw unsupported(identifier);
      }
    },

    storeLayer(id) {
      // One that was asked for is held since.
      if (!layers.has(id) && store.layer(id) === undefined)
        throw new BuildError({ code: 'store', message: `there is no layer ${id}` });
      return storeLayer(id);
    },

    async cachedLayer({ diffId, blob, created, bounded }, origin) {
      const base = created === undefined ? await imageLayer(diffId) : undefined;
      if (base !== undefined || blob === undefined) return base;
      const id = cachedLayerRow(diffId, blob, created, origin, { store });
      // The manifest that was read just now holds it.
      if (!reachable.has(id)) reachable.set(id, Promise.resolve(true));
      if (bounded !== undefined && created !== undefined) {
        const { epoch, as } = bounded;
        noteBoundedLayer(
          id,
          epoch,
          as === undefined ? id : cachedLayerRow(as.diffId, as.blob, created, origin, { store }),
          store,
        );
      }
      return id;
    },

    get brokenLayers() {
      return brokenLayers;
    },

    tellUnpulled() {
      const unpulled = new Map<Digest, number>();
      for (const [id, vertex] of shownUnder) {
        const row = store.layer(id);
        const size = row?.hasDir === false && !row.blobs.some(({ local }) => local) ? row.blobs[0]?.size : undefined;
        if (size !== undefined) unpulled.set(vertex, (unpulled.get(vertex) ?? 0) + size);
      }
      const now = Date.now();
      for (const [vertex, bytes] of unpulled) {
        const name = `not pulled: ${(bytes / 1e6).toFixed(2)}MB of layers that no step needed`;
        const times = { timestamp: now, started: now, completed: now };
        events({ type: 'status', vertex, id: name, name, current: 0, total: 0, ...times });
      }
    },

    isReachable(row) {
      let answer = reachable.get(row.id);
      if (answer === undefined) reachable.set(row.id, (answer = isReachable(row, { store, registry, signal })));
      return answer;
    },

    takeUpload: async (stream) => track(takeUpload(stream, store, signal)),

    async contextFromTar(stream) {
      const { unpackContext } = await import('./local/from-tar.ts');
      const directory = store.tempPath('-context');
      await track(unpackContext(stream, directory, signal));
      return directory;
    },

    async close() {
      closing.abort(new BuildError({ code: 'cancelled', message: 'the build has ended' }));
      await Promise.allSettled(underWay);
      await local.close();
      await pool.close();
    },
  };
  return sources;
}

function sourceOf(vertex: SourceVertex): {
  readonly identifier: string;
  readonly attrs: Readonly<Record<string, string>>;
} {
  if (vertex.op.kind === 'source') return vertex.op;
  throw new BuildError({ code: 'internal', message: `a ${vertex.op.kind} op is no source` });
}

function schemeOf(identifier: string): string {
  return identifier.slice(0, Math.max(identifier.indexOf('://'), 0));
}

function platformKey({ os, architecture, variant, osVersion }: Platform): string {
  return [os, architecture, variant ?? '', osVersion ?? ''].join('/');
}

function resolvedImage(ref: string, { digest, config }: FoundImage): ResolvedImage {
  return { ref, digest, config };
}

/** `local.excludepatterns` is a JSON array (llb/source.go). */
function patternsOf(value: string | undefined): readonly string[] {
  if (value === undefined || value === '') return [];
  const parsed: unknown = JSON.parse(value);
  return Array.isArray(parsed) ? parsed.filter((item) => typeof item === 'string') : [];
}

async function at<T>({ location }: WorkContext, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof BuildError ? error.at(location) : error;
  }
}

/** Shows work of ours as a vertex, as BuildKit shows what its front end asks for. */
async function reported<T>(
  name: string,
  location: SourceLocation | undefined,
  events: (event: BuildEvent) => void,
  work: () => Promise<T>,
): Promise<T> {
  const vertex = { type: 'vertex', digest: digestOf(name), inputs: [], name, location } as const;
  const started = Date.now();
  events({ ...vertex, started });
  try {
    const result = await work();
    events({ ...vertex, started, completed: Date.now() });
    return result;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    events({ ...vertex, started, completed: Date.now(), error: message });
    throw error instanceof BuildError ? error.at(location) : error;
  }
}

function unsupported(identifier: string): BuildError {
  return new BuildError({
    code: 'unsupported',
    message: `sources ${schemeOf(identifier)}:// are not read by this version`,
  });
}
