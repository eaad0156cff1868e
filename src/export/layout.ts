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
import { isIndex, layersOf, manifestsOf, smallBlobsOf } from './image.ts';
import type { Image, ImageSet } from './image.ts';

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
  const files = new Map<string, LayoutFile>();
  const add = (file: LayoutFile): void => void files.set(file.name, file);
  for (const { blob } of layersOf(set)) add({ name: blobName(blob.digest), digest: blob.digest, size: blob.size });
  for (const { bytes, descriptor } of [...smallBlobsOf(set), ...manifestsOf(set)]) {
    add({ name: blobName(descriptor.digest), data: bytes });
  }
  add({ name: 'index.json', data: encodeIndex(indexEntries(set, options)) });
  const [image] = set.images;
  if (options.docker && image !== undefined) {
    add({ name: 'manifest.json', data: dockerManifest(image, options.names) });
  }
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
  const named = names.map((name) => {
    const { tag, digest } = parseReference(name);
    return { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag ?? digest ?? name };
  });
  return (named.length === 0 ? [{}] : named).map((own) => ({
    ...set.root.descriptor,
    ...sortedAnnotations({ ...common, ...own }),
  }));
}

export function encodeIndex(manifests: readonly Descriptor[]): Uint8Array {
  return json({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
}

/** What docker reads first; Docker's names for images are the short ones. */
function dockerManifest(image: Image, names: readonly string[]): Uint8Array {
  return json([
    {
      Config: blobName(image.config.descriptor.digest),
      RepoTags: names.length === 0 ? null : names.map((name) => familiarString(parseReference(name))),
      Layers: image.layers.map(({ blob }) => blobName(blob.digest)),
    },
  ]);
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
