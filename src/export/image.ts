/** An image made of a build's result: layers, config, manifest, and an index of several; the same whatever its destination. */
import type { ExportContext, ExportInput, ExportResult } from '../contracts/index.ts';
import {
  MEDIA_TYPES,
  isForeignLayer,
  normalizePlatform,
  parseReference,
  platformToString,
  referenceToString,
} from '../image/index.ts';
import type { Descriptor, Index, Manifest, OciPlatform } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { annotationsFor } from './annotations.ts';
import type { AttestationManifest } from './attest/manifest.ts';
import { isAttestation } from './attest/names.ts';
import { encodeDocument, imageDocument, type ImageDocument } from './document.ts';
import type { EarlyPush } from './early-push.ts';
import { completeConfig, encodeConfig } from './image-config.ts';
import { imageLayers } from './image-layers.ts';
import type { ImageLayer } from './image-layers.ts';
import type { ImageAttributes } from './output-spec.ts';
import { reported } from './progress-report.ts';

/** The image of one platform. */
export interface Image {
  readonly platform: OciPlatform;
  readonly manifest: ImageDocument;
  readonly config: ImageDocument;
  readonly layers: readonly ImageLayer[];
  /** From the config, RFC 3339. */
  readonly created: string | undefined;
  /** What is said of it beside it. */
  readonly attestations?: AttestationManifest | undefined;
}

/** What a name leads to, with all that it refers to. */
export interface ImageSet {
  /** The manifest of the only platform, or an index. */
  readonly root: ImageDocument;
  /** One a platform. */
  readonly images: readonly Image[];
}

/**
 * @param names Full names, for what is said of the images.
 * @param early Sends layers while they are packed.
 */
export async function makeImages(
  inputs: readonly ExportInput[],
  store: Store,
  attributes: ImageAttributes,
  context: ExportContext,
  names: readonly string[] = [],
  early?: EarlyPush,
): Promise<ImageSet> {
  const epochs = inputs.map((input) => attributes.sourceDateEpoch ?? input.sourceDateEpoch);
  const layers = await reported(context.events, 'exporting layers', () =>
    imageLayers(
      inputs.map(({ snapshot }, i) => ({ layers: snapshot.layers, epoch: epochs[i] })),
      store,
      attributes,
      context,
      early?.begin,
    ),
  );
  const images: Image[] = [];
  for (const [i, input] of inputs.entries()) {
    const image = makeImage(input, layers[i] ?? [], epochs[i], attributes);
    images.push({ ...image, attestations: await attestationsOf(image, input, attributes, names) });
  }
  const [only] = images;
  for (const { descriptor } of distinct(layers.flat(), ({ blob }) => blob.digest).filter(isForeign)) {
    const from = descriptor.urls === undefined ? '' : `; it is to be had from ${descriptor.urls.join(', ')}`;
    context.events({ type: 'warning', message: `the foreign layer ${descriptor.digest} is not handed on${from}` });
  }
  const isReferred = attributes.attestationStorage === 'referrers';
  const isAlone = only !== undefined && images.length === 1 && (isReferred || only.attestations === undefined);
  return { root: isAlone ? only.manifest : makeIndex(images, attributes), images };
}

async function attestationsOf(
  { manifest, layers, platform }: Image,
  { attest }: ExportInput,
  attributes: ImageAttributes,
  names: readonly string[],
): Promise<AttestationManifest | undefined> {
  if (attest === undefined) return undefined;
  const predicates = await attest(layers.map(({ blob }) => blob.diffId));
  if (predicates.length === 0) return undefined;
  const { attestationManifest, imageUrl, statementOf } = await import('./attest/index.ts');
  const urls = names.map((name) => imageUrl(name, platformToString(normalizePlatform(platform))));
  const statements = predicates.map((predicate) => statementOf(predicate, urls, manifest.descriptor.digest));
  return attestationManifest(manifest.descriptor, statements, attributes);
}

function makeImage(
  input: ExportInput,
  layers: readonly ImageLayer[],
  epoch: number | undefined,
  attributes: ImageAttributes,
): Image {
  const { ociMediaTypes, annotations } = attributes;
  const complete = completeConfig({
    config: input.config,
    platform: input.platform,
    layers: layers.map(({ blob, created }) => ({ diffId: blob.diffId, created })),
    epoch,
  });
  const platform = platformOf(input, complete);
  const config = imageDocument(
    ociMediaTypes ? MEDIA_TYPES.ociConfig : MEDIA_TYPES.dockerConfig,
    encodeConfig(complete),
  );
  const mediaType = ociMediaTypes ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest;
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    ...annotationsFor(annotations, 'manifest', platform),
  };
  const { created } = complete;
  return {
    platform,
    manifest: imageDocument(mediaType, encodeDocument(manifest)),
    config,
    layers,
    created: typeof created === 'string' ? created : undefined,
  };
}

function makeIndex(
  images: readonly Image[],
  { ociMediaTypes, annotations, attestationStorage }: ImageAttributes,
): ImageDocument {
  const mediaType = ociMediaTypes ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.dockerIndex;
  const index: Index = {
    schemaVersion: 2,
    mediaType,
    manifests: [
      ...images.map(({ manifest, platform }) => ({
        ...manifest.descriptor,
        ...annotationsFor(annotations, 'manifest-descriptor', platform),
        platform,
      })),
      ...(attestationStorage === 'referrers'
        ? []
        : images.flatMap(({ attestations }) => attestations?.manifest.descriptor ?? [])),
    ],
    ...annotationsFor(annotations, 'index'),
  };
  return imageDocument(mediaType, encodeDocument(index));
}

function platformOf({ platform }: ExportInput, config: Readonly<Record<string, unknown>>): OciPlatform {
  const { os, architecture, variant } = normalizePlatform(platform);
  const version = config['os.version'];
  return {
    architecture,
    os,
    ...(typeof version === 'string' && version !== '' ? { 'os.version': version } : {}),
    ...(variant === undefined ? {} : { variant }),
  };
}

/** Manifests and index, each once, what refers to others after them. */
export function manifestsOf({ root, images }: ImageSet): readonly ImageDocument[] {
  const attestations = images.flatMap((image) => image.attestations?.manifest ?? []);
  const all = [...images.map(({ manifest }) => manifest), ...attestations, root];
  return distinct(all, ({ descriptor }) => descriptor.digest);
}

export function configsOf({ images }: ImageSet): readonly ImageDocument[] {
  return distinct(
    images.map(({ config }) => config),
    ({ descriptor }) => descriptor.digest,
  );
}

/** Configs, and what is said of the images: blobs that are at hand whole. */
export function smallBlobsOf(set: ImageSet): readonly ImageDocument[] {
  const said = set.images.flatMap(({ attestations }) => attestations?.blobs ?? []);
  return distinct([...configsOf(set), ...said], ({ descriptor }) => descriptor.digest);
}

/** Of all platforms, each once. */
export function layersOf({ images }: ImageSet): readonly ImageLayer[] {
  return distinct(
    images.flatMap(({ layers }) => layers),
    ({ blob }) => blob.digest,
  );
}

/** Those whose bytes go where the image goes. */
export function ownLayersOf(set: ImageSet): readonly ImageLayer[] {
  return layersOf(set).filter((layer) => !isForeign(layer));
}

function isForeign({ descriptor }: ImageLayer): boolean {
  return isForeignLayer(descriptor);
}

function distinct<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

export function isIndex({ root, images }: ImageSet): boolean {
  return root.descriptor.digest !== images[0]?.manifest.descriptor.digest;
}

/** Manifests, index and configs into the store, where their layers are or are known. */
export async function putDocuments(set: ImageSet, { events }: ExportContext, store: Store): Promise<void> {
  for (const { bytes } of smallBlobsOf(set)) await store.putBlob(bytes);
  for (const { descriptor } of configsOf(set)) {
    await reported(events, `exporting config ${descriptor.digest}`, async () => undefined);
  }
  for (const { bytes, descriptor } of manifestsOf(set)) {
    await store.putBlob(bytes);
    await reported(events, `exporting ${documentKind(descriptor)} ${descriptor.digest}`, async () => undefined);
  }
}

/** What progress calls it, as BuildKit does. */
export function documentKind(
  descriptor: Pick<Descriptor, 'mediaType' | 'annotations'>,
): 'manifest' | 'manifest list' | 'attestation manifest' {
  const { mediaType } = descriptor;
  if (mediaType === MEDIA_TYPES.ociIndex || mediaType === MEDIA_TYPES.dockerIndex) return 'manifest list';
  return isAttestation(descriptor) ? 'attestation manifest' : 'manifest';
}

export function exportedImage(set: ImageSet, names: readonly string[]): NonNullable<ExportResult['image']> {
  const { root, images } = set;
  const layers = layersOf(set);
  return {
    digest: root.descriptor.digest,
    configDigest: isIndex(set) ? undefined : images[0]?.config.descriptor.digest,
    mediaType: root.descriptor.mediaType,
    manifestSize: root.bytes.length,
    layersSize: layers.reduce((sum, { blob }) => sum + blob.size, 0),
    layers: layers.length,
    names,
  };
}

/** Full names with tags, each once. `-t` takes the place of `name=`, as with buildx. */
export function imageNames(tags: readonly string[], attributes: ImageAttributes): readonly string[] {
  const words = tags.length > 0 ? tags : attributes.names.filter((name) => name !== '*');
  return [...new Set(words.map((word) => referenceToString(parseReference(word))))];
}
