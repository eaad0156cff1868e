import { BuildError, type Digest } from '../contracts/index.ts';
import { familiarName, familiarString, parseReference, referenceToString } from '../image/reference.ts';
import type { ImageConfig, Manifest } from '../image/types.ts';
import { openStore, type ImageRow, type Store } from '../store/index.ts';
import type { HostOptions } from './options.ts';

export interface ImageListItem {
  /** Familiar form, as `alpine` or `localhost:5000/app`. */
  readonly repository: string;
  readonly tag: string;
  /** Digest of the configuration: docker's image ID. */
  readonly id: Digest;
  readonly digest: Digest;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Compressed bytes of the layers. */
  readonly size: number;
  readonly origin: 'build' | 'pull';
}

/** The images in the local store, newest first; pulled bases only when asked for. */
export async function listImages(
  options: HostOptions & { readonly pulled?: boolean } = {},
): Promise<readonly ImageListItem[]> {
  return await withStore(options, async (store) => {
    const items: ImageListItem[] = [];
    for (const row of store.images()) {
      if (row.origin !== 'build' && options.pulled !== true) continue;
      const manifest = await readManifest(store, row);
      if (manifest === undefined) continue;
      const reference = parseReference(row.name);
      items.push({
        repository: familiarName(reference),
        tag: reference.tag ?? '<none>',
        id: manifest.config.digest,
        digest: row.digest,
        created: row.created,
        size: manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
        origin: row.origin,
      });
    }
    return items.sort((a, b) => b.created - a.created);
  });
}

/** What `slipway inspect` shows of one image. Errors: `image-not-found`. */
export async function inspectImage(
  name: string,
  options: HostOptions = {},
): Promise<Readonly<Record<string, unknown>>> {
  return await withStore(options, async (store) => {
    const { row, manifest, config } = await openImage(store, name);
    return {
      Id: manifest.config.digest,
      RepoTags: store
        .images()
        .filter((other) => other.digest === row.digest && other.origin === 'build')
        .map((other) => familiarString(parseReference(other.name))),
      Digest: row.digest,
      MediaType: row.mediaType,
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
export async function imageHistory(name: string, options: HostOptions = {}): Promise<readonly HistoryItem[]> {
  return await withStore(options, async (store) => {
    const { manifest, config } = await openImage(store, name);
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
    const row = findImage(store, name);
    store.removeImage(row.name);
    return familiarString(parseReference(row.name));
  });
}

export interface OpenedImage {
  readonly row: ImageRow;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** Errors: `image-not-found`, `store`. */
export async function openImage(store: Store, name: string): Promise<OpenedImage> {
  const row = findImage(store, name);
  const manifest = await readManifest(store, row);
  if (manifest === undefined)
    throw new BuildError({
      code: 'store',
      message: `the manifest of ${name} is not in the store`,
      hint: 'build it again',
    });
  const config = JSON.parse(Buffer.from(await store.readBlob(manifest.config.digest)).toString('utf8')) as ImageConfig;
  return { row, manifest, config };
}

/** By name, or by a prefix of its ID (config digest) or manifest digest. */
function findImage(store: Store, name: string): ImageRow {
  const images = store.images();
  const hex = /^(?:sha256:)?([0-9a-f]{6,64})$/.exec(name)?.[1];
  const named =
    hex === undefined || !name.startsWith('sha256:') ? store.image(referenceToString(parseReference(name))) : undefined;
  const found = named ?? (hex === undefined ? undefined : images.find((row) => row.digest.startsWith(`sha256:${hex}`)));
  if (found !== undefined) return found;
  const built = images.filter((row) => row.origin === 'build').map((row) => familiarString(parseReference(row.name)));
  throw new BuildError({
    code: 'image-not-found',
    message: `the local store has no image ${name}`,
    hint:
      built.length === 0 ? `build one with: slipway build -t ${name} .` : `there are: ${built.slice(0, 5).join(', ')}`,
  });
}

async function readManifest(store: Store, row: ImageRow): Promise<Manifest | undefined> {
  if (!store.hasBlob(row.digest)) return undefined;
  const document = JSON.parse(Buffer.from(await store.readBlob(row.digest)).toString('utf8')) as Partial<Manifest> & {
    manifests?: unknown;
  };
  return document.layers === undefined || document.config === undefined ? undefined : (document as Manifest);
}

/** Opens the store for one piece of work. */
export async function withStore<T>(options: HostOptions, work: (store: Store) => Promise<T>): Promise<T> {
  const env = options.env ?? process.env;
  const store = await openStore({ root: options.root ?? env['SLIPWAY_ROOT'] });
  try {
    return await work(store);
  } finally {
    store.close();
  }
}
