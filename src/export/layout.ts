/**
 * The files of an OCI image layout (image-layout.md) that holds one image, of one platform or of several; with `manifest.json` it is a docker archive
 * too, which `docker load`, podman and skopeo read. The same image and names give the same bytes. Contents and
 * annotations follow containerd (images/archive, exporter.go) as BuildKit uses it; `created` is the image's own time
 * there, not that of the export.
 */
import type { Digest } from '../contracts/index.ts';
import { MEDIA_TYPES, familiarString, parseReference } from '../image/index.ts';
import type { Descriptor } from '../image/index.ts';
import { annotationsFor, sortedAnnotations } from './annotations.ts';
import type { Annotation } from './annotations.ts';
import { isIndex, ownLayersOf, manifestsOf, smallBlobsOf } from './image.ts';
import type { Image, ImageSet } from './image.ts';
import type { ImageDocument } from './document.ts';

export type LayoutFile =
  | { readonly name: string; readonly data: Uint8Array }
  /** A blob of the store. */
  | { readonly name: string; readonly digest: Digest; readonly size: number };

export interface LayoutOptions {
  /** Full names with tags. */
  readonly names: readonly string[];
  readonly annotations: readonly Annotation[];
  /** Add `manifest.json`. */
  readonly docker: boolean;
}

export const LAYOUT_DIRECTORIES = ['blobs', 'blobs/sha256'] as const;

/** Sorted by name, each once. */
export function layoutFiles(set: ImageSet, options: LayoutOptions): readonly LayoutFile[] {
  const [image] = set.images;
  return archiveFiles([
    {
      entries: indexEntries(set, options),
      documents: [...smallBlobsOf(set), ...manifestsOf(set)],
      layers: ownLayersOf(set).map(({ blob }) => blob),
      docker: options.docker && image !== undefined ? dockerEntry(image, options.names) : undefined,
    },
  ]);
}

/** One image of an archive. */
export interface ArchivedParts {
  /** Of `index.json`. */
  readonly entries: readonly Descriptor[];
  readonly documents: readonly ImageDocument[];
  readonly layers: readonly { readonly digest: Digest; readonly size: number }[];
  /** Of `manifest.json`. */
  readonly docker: DockerEntry | undefined;
}

/** The files of an archive of several images, sorted by name, each once. */
export function archiveFiles(images: readonly ArchivedParts[]): readonly LayoutFile[] {
  const files = new Map<string, LayoutFile>();
  const add = (file: LayoutFile): void => void files.set(file.name, file);
  for (const { layers, documents } of images) {
    for (const { digest, size } of layers) add({ name: blobName(digest), digest, size });
    for (const { bytes, descriptor } of documents) add({ name: blobName(descriptor.digest), data: bytes });
  }
  add({ name: 'index.json', data: encodeIndex(images.flatMap(({ entries }) => entries)) });
  const docker = images.flatMap((image) => image.docker ?? []);
  if (docker.length > 0) add({ name: 'manifest.json', data: json(docker) });
  add({ name: 'oci-layout', data: json({ imageLayoutVersion: '1.0.0' }) });
  return [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** One for each name, so that readers find the image under any of them. */
export function indexEntries(set: ImageSet, { names, annotations }: LayoutOptions): readonly Descriptor[] {
  const [image] = set.images;
  const target = isIndex(set) ? 'index-descriptor' : 'manifest-descriptor';
  const created = set.images.flatMap((one) => one.created ?? []).sort();
  const common = {
    ...annotationsFor(annotations, target, image?.platform).annotations,
    ...(created.length === 0 ? {} : { 'org.opencontainers.image.created': wholeSeconds(created.at(-1) ?? '') }),
  };
  return namedEntries(set.root.descriptor, names, common);
}

/** An entry of `index.json` for each name, or one without. */
export function namedEntries(
  root: Descriptor,
  names: readonly string[],
  common: Readonly<Record<string, string>>,
): readonly Descriptor[] {
  const named = names.map((name) => {
    const { tag, digest } = parseReference(name);
    return { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag ?? digest ?? name };
  });
  return (named.length === 0 ? [{}] : named).map((own) => ({ ...root, ...sortedAnnotations({ ...common, ...own }) }));
}

export function encodeIndex(manifests: readonly Descriptor[]): Uint8Array {
  return json({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
}

/** What docker reads first (`manifest.json`); Docker's names for images are the short ones. */
export interface DockerEntry {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
}

function dockerEntry(image: Image, names: readonly string[]): DockerEntry {
  return dockerEntryOf(
    image.config.descriptor.digest,
    image.layers.map(({ blob }) => blob.digest),
    names,
  );
}

export function dockerEntryOf(config: Digest, layers: readonly Digest[], names: readonly string[]): DockerEntry {
  const tags = names.map(parseReference).filter(({ tag }) => tag !== undefined);
  return {
    Config: blobName(config),
    RepoTags: tags.length === 0 ? null : tags.map(familiarString),
    Layers: layers.map(blobName),
  };
}

export function blobName(digest: Digest): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

/** `2024-01-01T00:00:00.5Z` without its fraction, as the annotation has it. */
function wholeSeconds(time: string): string {
  return time.replace(/\.[0-9]+/, '');
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
