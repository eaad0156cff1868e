/** An image made of a build's result: layers, config and one plain manifest; the same whatever its destination. */
import type { ExportContext, ExportInput, ExportResult } from '../contracts/index.ts';
import { MEDIA_TYPES, digestOf, parseReference, referenceToString } from '../image/index.ts';
import type { Descriptor, Manifest } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { completeConfig, encodeConfig } from './image-config.ts';
import { imageLayers } from './image-layers.ts';
import type { ImageLayer } from './image-layers.ts';
import type { ImageAttributes } from './output-spec.ts';
import { reported } from './progress-report.ts';

export interface Image {
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly config: Descriptor;
  readonly configBytes: Uint8Array;
  readonly layers: readonly ImageLayer[];
  /** From the config, RFC 3339. */
  readonly created: string | undefined;
}

export async function makeImage(
  input: ExportInput,
  store: Store,
  attributes: ImageAttributes,
  context: ExportContext,
): Promise<Image> {
  const epoch = attributes.sourceDateEpoch ?? input.sourceDateEpoch;
  const layers = await reported(context.events, 'exporting layers', () =>
    imageLayers(input.snapshot.layers, store, attributes, epoch, context),
  );
  const config = completeConfig({
    config: input.config,
    platform: input.platform,
    layers: layers.map(({ blob, created }) => ({ diffId: blob.diffId, created })),
    epoch,
  });
  const configBytes = encodeConfig(config);
  const configDescriptor: Descriptor = {
    mediaType: attributes.ociMediaTypes ? MEDIA_TYPES.ociConfig : MEDIA_TYPES.dockerConfig,
    digest: digestOf(configBytes),
    size: configBytes.length,
  };
  const mediaType = attributes.ociMediaTypes ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest;
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType,
    config: configDescriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    ...annotationsOf(attributes.annotations),
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest, undefined, 2));
  const { created } = config;
  return {
    manifest: { mediaType, digest: digestOf(manifestBytes), size: manifestBytes.length },
    manifestBytes,
    config: configDescriptor,
    configBytes,
    layers,
    created: typeof created === 'string' ? created : undefined,
  };
}

/** Manifest and config into the store, whose layers are there or known. */
export async function putDocuments(image: Image, store: Store): Promise<void> {
  await store.putBlob(image.configBytes);
  await store.putBlob(image.manifestBytes);
}

export function exportResult(image: Image, names: readonly string[]): ExportResult {
  return {
    image: {
      digest: image.manifest.digest,
      configDigest: image.config.digest,
      mediaType: image.manifest.mediaType,
      manifestSize: image.manifestBytes.length,
      layersSize: image.layers.reduce((sum, { blob }) => sum + blob.size, 0),
      layers: image.layers.length,
      names,
    },
  };
}

/** Full names with tags, each once. `-t` takes the place of `name=`, as with buildx. */
export function imageNames(tags: readonly string[], attributes: ImageAttributes): readonly string[] {
  const words = tags.length > 0 ? tags : attributes.names.filter((name) => name !== '*');
  return [...new Set(words.map((word) => referenceToString(parseReference(word))))];
}

function annotationsOf(annotations: Readonly<Record<string, string>>): Pick<Manifest, 'annotations'> {
  const entries = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? {} : { annotations: Object.fromEntries(entries) };
}
