import { BuildError } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import {
  CACHE_CONFIG,
  CONFIG_SIZE_MAX,
  decodeCacheConfig,
  decodeInlineCache,
  isIndexType,
  isManifestType,
  parseDocument,
} from '../../image/index.ts';
import type { Descriptor, PortableCache } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import { resolveInLayout } from '../image/layout.ts';
import { layoutOrigin, registryOrigin } from '../image/origin.ts';
import type { Origin } from '../image/origin.ts';
import type { CacheImport } from './types.ts';

export interface LoadedCache {
  readonly cache: PortableCache;
  /** Where its blobs can be had. */
  readonly origin: string;
}

/** Platforms of one image whose inline caches are read. */
const PLATFORMS_MAX = 16;

/**
 * Reads what a cache holds: manifest and config, no layers. It may be a cache of its own (an image manifest, or an index
 * as older tools write them) or an image with a cache inside, one for each of its platforms.
 *
 * @returns Empty where there is an image or a cache of another tool, but nothing for us in it.
 * @throws BuildError `image-not-found` where there is none, `registry`, `auth`, `hostile`, `digest-mismatch`, `context`
 */
export async function loadCache(
  spec: CacheImport,
  deps: { readonly registry: Registry; readonly signal: AbortSignal },
): Promise<readonly LoadedCache[]> {
  const { origin, digest, mediaType } = await locate(spec, deps);
  return await readAt(origin, digest, mediaType, nameOf(spec), deps.signal, PLATFORMS_MAX);
}

/** As users know it. */
export function nameOf(spec: CacheImport): string {
  if (spec.type === 'local')
    return spec.digest === undefined ? `${spec.src}:${spec.tag}` : `${spec.src}@${spec.digest}`;
  return `${spec.repository}${spec.reference.startsWith('sha256:') ? '@' : ':'}${spec.reference}`;
}

interface Place {
  readonly origin: Origin;
  readonly digest: Digest;
  readonly mediaType: string | undefined;
}

async function locate(
  spec: CacheImport,
  { registry, signal }: { readonly registry: Registry; readonly signal: AbortSignal },
): Promise<Place> {
  if (spec.type === 'local') {
    const reference = { path: spec.src, tag: spec.tag, digest: spec.digest };
    const { digest, mediaType } = await resolveInLayout(reference);
    return { origin: layoutOrigin(spec.src), digest, mediaType: mediaType === '' ? undefined : mediaType };
  }
  const { digest, mediaType } = await registry.resolve(spec.repository, spec.reference, { signal });
  return { origin: registryOrigin(registry, spec.repository), digest, mediaType };
}

async function readAt(
  origin: Origin,
  digest: Digest,
  mediaType: string | undefined,
  name: string,
  signal: AbortSignal,
  left: number,
): Promise<readonly LoadedCache[]> {
  const subject = { name: `the cache ${name}`, code: 'hostile' } as const;
  const served =
    mediaType !== undefined && (isIndexType(mediaType) || isManifestType(mediaType)) ? mediaType : undefined;
  const found = parseDocument(await origin.manifest(digest, { signal }), served, subject);
  const [config, held] =
    found.kind === 'manifest' ? [found.document.config, found.document.layers] : splitIndex(found.document.manifests);
  if (config?.mediaType === CACHE_CONFIG) {
    const cache = decodeCacheConfig(await readConfig(config), held, subject);
    return cache === undefined ? [] : [{ cache, origin: origin.name }];
  }
  if (found.kind === 'manifest') {
    const cache = decodeInlineCache(await readConfig(found.document.config), held, subject);
    return cache === undefined ? [] : [{ cache, origin: origin.name }];
  }
  const images = held.filter((item) => isManifestType(item.mediaType) && item.platform?.os !== 'unknown');
  const caches: LoadedCache[] = [];
  for (const image of images.slice(0, left)) {
    caches.push(...(await readAt(origin, image.digest, image.mediaType, name, signal, 0)));
  }
  return caches;

  async function readConfig(descriptor: Descriptor): Promise<Uint8Array> {
    if (descriptor.size > CONFIG_SIZE_MAX) {
      throw new BuildError({ code: 'hostile', message: `the cache ${name} has a config of ${descriptor.size} bytes` });
    }
    return await origin.document(descriptor, { signal });
  }
}

/** In an index, the config is one of the entries (BuildKit, `image-manifest=false`). */
function splitIndex(manifests: readonly Descriptor[]): readonly [Descriptor | undefined, readonly Descriptor[]] {
  const config = manifests.find(({ mediaType }) => mediaType === CACHE_CONFIG);
  return [config, manifests.filter((item) => item !== config)];
}
