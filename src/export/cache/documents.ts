import { CACHE_CONFIG, MEDIA_TYPES, digestOf, encodeCacheConfig } from '../../image/index.ts';
import type { Descriptor, Index, Manifest } from '../../image/index.ts';
import { layerMediaType } from '../image-layers.ts';
import type { CollectedCache } from './collect.ts';
import type { CacheForm } from './target.ts';

/** The documents of a cache artifact. */
export interface CacheDocuments {
  readonly config: Descriptor;
  readonly configBytes: Uint8Array;
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
}

/** As BuildKit's: an image manifest with a config of its own type, or an index in which the config is one of the entries. */
export function cacheDocuments({ cache, blobs }: CollectedCache, form: CacheForm): CacheDocuments {
  const oci = form.ociMediaTypes;
  const layers = blobs.map(({ blob }) => ({
    mediaType: layerMediaType(blob.mediaType, oci),
    digest: blob.digest,
    size: blob.size,
  }));
  const configBytes = encodeCacheConfig(cache);
  const config = { mediaType: CACHE_CONFIG, digest: digestOf(configBytes), size: configBytes.length };
  const document: Manifest | Index = form.imageManifest
    ? { schemaVersion: 2, mediaType: oci ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest, config, layers }
    : {
        schemaVersion: 2,
        mediaType: oci ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.dockerIndex,
        manifests: [...layers, config],
      };
  const manifestBytes = Buffer.from(JSON.stringify(document, undefined, 2));
  const manifest = {
    mediaType: document.mediaType ?? MEDIA_TYPES.ociManifest,
    digest: digestOf(manifestBytes),
    size: manifestBytes.length,
  };
  return { config, configBytes, manifest, manifestBytes };
}
