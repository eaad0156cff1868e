/** Images of the local store: a name leads to a manifest, or to an index with one for each platform. */
import { BuildError, type Digest } from '../contracts/index.ts';
import {
  parseDocument,
  parseImageConfig,
  platformToString,
  normalizePlatform,
  selectPlatform,
  type Descriptor,
  type Document,
  type ImageConfig,
  type Manifest,
} from '../image/index.ts';
import { familiarString, parseReference, referenceToString } from '../image/reference.ts';
import type { ImageRow, Store } from '../store/index.ts';
import { hostPlatform, parsePlatform } from './inputs/platform.ts';

/** Stands for the name of an image that has none, with its digest: it was loaded from an archive that gives it none. */
export const NAMELESS = 'localhost/none';

export interface OpenedImage {
  readonly row: ImageRow;
  /** Of `manifest`; the row's own digest is the index's, where there is one. */
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** `linux/arm64`; of the manifest that was opened. */
  readonly platform: string;
}

/**
 * Opens an image for a platform: the one that is named, else this machine's, else the only one there is.
 *
 * @param name A name, or the beginning of an ID or digest.
 * @throws BuildError `image-not-found`, `store`, `usage` for a platform that is none
 */
export async function openImage(store: Store, name: string, platform?: string): Promise<OpenedImage> {
  const { row, config: wanted } = await findImage(store, name);
  const manifests = await readManifests(store, row);
  const [only] = manifests;
  if (only === undefined) {
    throw new BuildError({
      code: 'store',
      message: `the manifest of ${name} is not in the store`,
      hint: 'build it again',
    });
  }
  const named = manifests.find(({ manifest }) => manifest.config.digest === wanted);
  const asked = platform === undefined ? hostPlatform() : parsePlatform(platform);
  const isFree = platform === undefined && manifests.length === 1;
  const descriptors = manifests.map(({ descriptor }) => descriptor);
  const fits = isFree ? only.descriptor : selectPlatform(descriptors, asked);
  const chosen = named ?? manifests.find(({ descriptor }) => descriptor === fits);
  if (chosen === undefined) {
    throw new BuildError({
      code: 'image-not-found',
      message: `${name} has no image for ${platformToString(asked)}`,
      hint: `it has ${manifests.map((one) => one.platform).join(', ')}; name one with --platform`,
    });
  }
  const { digest } = chosen.manifest.config;
  return {
    row,
    digest: chosen.descriptor.digest,
    manifest: chosen.manifest,
    config: parseImageConfig(await store.readBlob(digest), { name: `the config of ${name}`, code: 'store' }),
    platform: chosen.platform,
  };
}

export interface PlatformManifest {
  /** With its platform. */
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly platform: string;
}

/** The manifests behind a name that are in the store, one a platform; attestations are none. */
export async function readManifests(store: Store, row: ImageRow): Promise<readonly PlatformManifest[]> {
  const top = await readDocument(store, row.digest, row.mediaType, row.name);
  if (top === undefined) return [];
  if (top.kind === 'manifest') {
    const platform = await configPlatform(store, top.document);
    const { digest, mediaType } = row;
    const descriptor: Descriptor = { digest, mediaType, size: 0, platform };
    return [{ descriptor, manifest: top.document, platform: platformToString(normalizePlatform(platform)) }];
  }
  const found: PlatformManifest[] = [];
  for (const descriptor of top.document.manifests) {
    const { digest, mediaType, platform } = descriptor;
    if (platform === undefined || platform.os === 'unknown') continue;
    const inner = await readDocument(store, digest, mediaType, row.name);
    if (inner?.kind !== 'manifest') continue;
    const name = platformToString(normalizePlatform(platform));
    found.push({ descriptor, manifest: inner.document, platform: name });
  }
  return found;
}

async function configPlatform(store: Store, { config }: Manifest) {
  const { os, architecture, variant } = store.hasBlob(config.digest)
    ? parseImageConfig(await store.readBlob(config.digest), { name: 'the config', code: 'store' })
    : hostPlatform();
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

async function readDocument(
  store: Store,
  digest: Digest,
  mediaType: string,
  name: string,
): Promise<Document | undefined> {
  if (!store.hasBlob(digest)) return undefined;
  return parseDocument(await store.readBlob(digest), mediaType, { name: `the manifest of ${name}`, code: 'store' });
}

interface FoundRow {
  readonly row: ImageRow;
  /** Where an image ID was given: the config that it is of. */
  readonly config?: Digest | undefined;
}

/** By name, or by the beginning of a digest or of an ID. @throws BuildError `image-not-found` */
export async function findImage(store: Store, name: string): Promise<FoundRow> {
  const images = store.images();
  const hex = /^(?:sha256:)?([0-9a-f]{6,64})$/.exec(name)?.[1];
  if (hex === undefined || (!name.startsWith('sha256:') && hex.length < 64)) {
    const row = store.image(referenceToString(parseReference(name)));
    if (row !== undefined) return { row };
  }
  if (hex !== undefined) {
    const row = images.find(({ digest }) => digest.startsWith(`sha256:${hex}`));
    if (row !== undefined) return { row };
    for (const candidate of images) {
      for (const { manifest } of await readManifests(store, candidate)) {
        const { digest } = manifest.config;
        if (digest.startsWith(`sha256:${hex}`)) return { row: candidate, config: digest };
      }
    }
  }
  const built = images.filter((row) => row.origin === 'build').map((row) => familiarString(parseReference(row.name)));
  throw new BuildError({
    code: 'image-not-found',
    message: `the local store has no image ${name}`,
    hint:
      built.length === 0 ? `build one with: slipway build -t ${name} .` : `there are: ${built.slice(0, 5).join(', ')}`,
  });
}
