import type { Digest } from '../contracts/index.ts';
import { familiarName, familiarString, parseReference } from '../image/reference.ts';
import { findImage, openImage, readManifests } from './open-image.ts';
import type { HostOptions } from './options.ts';
import { hostPlatform, platformText } from './platform.ts';
import { withStore } from './with-store.ts';

export { withStore } from './with-store.ts';

/** Which of the platforms of an image. Default: this machine's, or the only one. */
export interface ImageOptions extends HostOptions {
  readonly platform?: string | undefined;
}

export interface ImageListItem {
  /** Familiar form, as `alpine` or `localhost:5000/app`. */
  readonly repository: string;
  readonly tag: string;
  /** Digest of the configuration, of an index that for this machine: docker's image ID. */
  readonly id: Digest;
  /** Of the manifest or index. */
  readonly digest: Digest;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Compressed bytes of the layers of all platforms. */
  readonly size: number;
  readonly origin: 'build' | 'pull';
  /** As `linux/arm64`; several for an index. */
  readonly platforms: readonly string[];
}

/** The images in the local store, newest first; pulled bases only when asked for. */
export async function listImages(
  options: HostOptions & { readonly pulled?: boolean } = {},
): Promise<readonly ImageListItem[]> {
  return await withStore(options, async (store) => {
    const items: ImageListItem[] = [];
    for (const row of store.images()) {
      if (row.origin !== 'build' && options.pulled !== true) continue;
      const manifests = await readManifests(store, row);
      const own = manifests.find(({ platform }) => platform === platformText(hostPlatform())) ?? manifests[0];
      if (own === undefined) continue;
      const layers = new Map(
        manifests.flatMap(({ manifest }) => manifest.layers.map(({ digest, size }) => [digest, size] as const)),
      );
      const reference = parseReference(row.name);
      items.push({
        repository: familiarName(reference),
        tag: reference.tag ?? '<none>',
        id: own.manifest.config.digest,
        digest: row.digest,
        created: row.created,
        size: [...layers.values()].reduce((sum, size) => sum + size, 0),
        origin: row.origin,
        platforms: manifests.map(({ platform }) => platform),
      });
    }
    return items.sort((a, b) => b.created - a.created);
  });
}

/** What `slipway inspect` shows of one image. Errors: `image-not-found`. */
export async function inspectImage(
  name: string,
  options: ImageOptions = {},
): Promise<Readonly<Record<string, unknown>>> {
  return await withStore(options, async (store) => {
    const { row, digest, manifest, config } = await openImage(store, name, options.platform);
    const platforms = (await readManifests(store, row)).map(({ platform }) => platform);
    return {
      Id: manifest.config.digest,
      RepoTags: store
        .images()
        .filter((other) => other.digest === row.digest && other.origin === 'build')
        .map((other) => familiarString(parseReference(other.name))),
      Digest: row.digest,
      MediaType: row.mediaType,
      // Of an index: which manifest this is, and what else there is.
      ...(digest === row.digest ? {} : { ManifestDigest: digest, Platforms: platforms }),
      Created: config.created,
      Author: config.author,
      Architecture: config.architecture,
      Variant: config.variant,
      Os: config.os,
      Size: manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
      Config: config.config ?? {},
      RootFS: { Type: 'layers', Layers: config.rootfs?.diff_ids ?? [] },
      Layers: manifest.layers,
      History: config.history ?? [],
    };
  });
}

export interface HistoryItem {
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly createdBy: string;
  readonly comment: string;
  /** Compressed bytes of the step's layer; 0 for a step without one. */
  readonly size: number;
}

/** The steps of an image, the last first. Errors: `image-not-found`. */
export async function imageHistory(name: string, options: ImageOptions = {}): Promise<readonly HistoryItem[]> {
  return await withStore(options, async (store) => {
    const { manifest, config } = await openImage(store, name, options.platform);
    let layer = 0;
    const items = (config.history ?? []).map((entry): HistoryItem => ({
      created: Date.parse(entry.created ?? config.created ?? '') || 0,
      createdBy: entry.created_by ?? '',
      comment: entry.comment ?? '',
      size: entry.empty_layer === true ? 0 : (manifest.layers[layer++]?.size ?? 0),
    }));
    return items.reverse();
  });
}

/** Forgets a name; returns it normalized. Layers and cache stay for `prune`. Errors: `image-not-found`. */
export async function removeImage(name: string, options: HostOptions = {}): Promise<string> {
  return await withStore(options, async (store) => {
    const { row } = await findImage(store, name);
    store.removeImage(row.name);
    return familiarString(parseReference(row.name));
  });
}
