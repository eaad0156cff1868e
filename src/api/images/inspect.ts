import { familiarName, parseReference } from '../../image/reference.ts';
import { openImage, readManifests } from '../open-image.ts';
import type { HostOptions } from '../options.ts';
import { withStore } from '../with-store.ts';
import { namesOf } from './list.ts';

/** Which of the platforms of an image. Default: this machine's, or the only one. */
export interface ImageOptions extends HostOptions {
  readonly platform?: string | undefined;
}

/** What `slipway inspect` shows of one image, in docker's words where docker has one. Errors: `image-not-found`. */
export async function inspectImage(
  name: string,
  options: ImageOptions = {},
): Promise<Readonly<Record<string, unknown>>> {
  return await withStore(options, async (store) => {
    const { row, digest, manifest, config } = await openImage(store, name, options.platform);
    const platforms = (await readManifests(store, row)).map(({ platform }) => platform);
    const tags = namesOf(row.digest, store);
    const repositories = [...new Set(tags.map((tag) => familiarName(parseReference(tag))))];
    return {
      Id: manifest.config.digest,
      RepoTags: tags.filter((tag) => !tag.includes('@')),
      RepoDigests: repositories.map((repository) => `${repository}@${row.digest}`),
      Digest: row.digest,
      MediaType: row.mediaType,
      // Of an index: which manifest this is, and what else there is.
      ...(digest === row.digest ? {} : { ManifestDigest: digest, Platforms: platforms }),
      Comment: config.history?.at(-1)?.comment ?? '',
      Created: config.created ?? '',
      Author: config.author ?? '',
      Architecture: config.architecture,
      Variant: config.variant ?? '',
      Os: config.os,
      OsVersion: config['os.version'] ?? '',
      Size: manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
      Config: { ...EMPTY_CONFIG, ...config.config },
      RootFS: { Type: 'layers', Layers: config.rootfs?.diff_ids ?? [] },
      Layers: manifest.layers,
      History: config.history ?? [],
      Metadata: { LastTagTime: new Date(row.created).toISOString() },
    };
  });
}

/** What docker shows of every image: templates may ask for it. */
const EMPTY_CONFIG = {
  User: '',
  ExposedPorts: null,
  Env: null,
  Entrypoint: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: '',
  OnBuild: null,
  Labels: null,
} as const;

export interface HistoryItem {
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly createdBy: string;
  readonly comment: string;
  /** Compressed bytes of the step's layer; 0 for a step without one. */
  readonly size: number;
  /** The image's ID at the last step; undefined below, as only whole images have one. */
  readonly id: string | undefined;
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
      id: undefined,
    }));
    return items.reverse().map((item, i) => (i === 0 ? { ...item, id: manifest.config.digest } : item));
  });
}
