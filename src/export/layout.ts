/**
 * The files of an OCI image layout (image-layout.md) that holds one image; with `manifest.json` it is a docker archive
 * too, which `docker load`, podman and skopeo read. The same image and names give the same bytes. Contents and
 * annotations follow containerd (images/archive, exporter.go) as BuildKit uses it; `created` is the image's own time
 * there, not that of the export.
 */
import type { Digest } from '../contracts/index.ts';
import { MEDIA_TYPES, familiarString, parseReference } from '../image/index.ts';
import type { Descriptor } from '../image/index.ts';
import type { Image } from './image.ts';

export type LayoutFile =
  | { readonly name: string; readonly data: Uint8Array }
  /** A blob of the store. */
  | { readonly name: string; readonly digest: Digest; readonly size: number };

export interface LayoutOptions {
  /** Full names with tags. */
  readonly names: readonly string[];
  readonly descriptorAnnotations: Readonly<Record<string, string>>;
  /** Add `manifest.json`. */
  readonly docker: boolean;
}

export const LAYOUT_DIRECTORIES = ['blobs', 'blobs/sha256'] as const;

/** Sorted by name, each once. */
export function layoutFiles(image: Image, options: LayoutOptions): readonly LayoutFile[] {
  const files = new Map<string, LayoutFile>();
  const add = (file: LayoutFile): void => void files.set(file.name, file);
  for (const { blob } of image.layers) add({ name: blobName(blob.digest), digest: blob.digest, size: blob.size });
  add({ name: blobName(image.config.digest), data: image.configBytes });
  add({ name: blobName(image.manifest.digest), data: image.manifestBytes });
  add({ name: 'index.json', data: encodeIndex(indexEntries(image, options)) });
  if (options.docker) add({ name: 'manifest.json', data: dockerManifest(image, options.names) });
  add({ name: 'oci-layout', data: json({ imageLayoutVersion: '1.0.0' }) });
  return [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** One for each name, so that readers find the image under any of them. */
export function indexEntries(image: Image, { names, descriptorAnnotations }: LayoutOptions): readonly Descriptor[] {
  const common = {
    ...descriptorAnnotations,
    ...(image.created === undefined ? {} : { 'org.opencontainers.image.created': wholeSeconds(image.created) }),
  };
  const named = names.map((name) => {
    const { tag, digest } = parseReference(name);
    return { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag ?? digest ?? name };
  });
  return (named.length === 0 ? [{}] : named).map((own) => {
    const annotations = Object.entries({ ...common, ...own }).sort(([a], [b]) => (a < b ? -1 : 1));
    return annotations.length === 0
      ? image.manifest
      : { ...image.manifest, annotations: Object.fromEntries(annotations) };
  });
}

export function encodeIndex(manifests: readonly Descriptor[]): Uint8Array {
  return json({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
}

/** What docker reads first; Docker's names for images are the short ones. */
function dockerManifest(image: Image, names: readonly string[]): Uint8Array {
  return json([
    {
      Config: blobName(image.config.digest),
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
