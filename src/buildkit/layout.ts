/** OCI layouts that a daemon writes blob by blob (image-spec image-layout.md): the index that names what is in them. */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDigest } from '../contracts/index.ts';
import { layoutBlobFile } from '../source/index.ts';
import type { RemoteOutput } from './outputs.ts';

export interface LayoutEntry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: unknown;
}

export const REF_NAME = 'org.opencontainers.image.ref.name';
const IMAGE_NAME = 'io.containerd.image.name';

/**
 * Names an entry in a layout's index.json; what had one of its names loses it (image-spec image-layout.md). Names are
 * tags, or whole image names, whose tag is then the name.
 */
export function addToLayout(directory: string, entry: LayoutEntry, names: readonly string[]): void {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'index.json');
  const before = existsSync(file)
    ? ((JSON.parse(readFileSync(file, 'utf8')) as { manifests?: readonly LayoutEntry[] }).manifests ?? [])
    : [];
  const named = names.map((name): LayoutEntry => {
    const tag = /:([^/:]+)$/.exec(name)?.[1];
    const annotations: Record<string, string> = name.includes('/')
      ? { [IMAGE_NAME]: name, [REF_NAME]: tag ?? 'latest' }
      : { [REF_NAME]: tag ?? name };
    return { ...entry, annotations: { ...entry.annotations, ...annotations } };
  });
  const added = named.length === 0 ? [entry] : named;
  const taken = new Set(added.map(keyOf));
  const manifests = [...before.filter((other) => other.digest !== entry.digest && !taken.has(keyOf(other))), ...added];
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests };
  writeFileSync(`${file}.partial`, JSON.stringify(index));
  renameSync(`${file}.partial`, file);
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

function keyOf({ annotations, digest }: LayoutEntry): string {
  return annotations?.[IMAGE_NAME] ?? annotations?.[REF_NAME] ?? digest;
}

/**
 * After the build: names the image in the layouts whose blobs the daemon wrote.
 *
 * @param response The daemon's, which has the descriptor of one of them.
 */
export function finishLayouts(
  outputs: readonly RemoteOutput[],
  written: ReadonlySet<string>,
  response: Readonly<Record<string, string>>,
): void {
  for (const { receive, attrs } of outputs) {
    if (receive?.kind !== 'layout') continue;
    const image = topOf(receive.dest, written);
    if (image === undefined) continue;
    const told = descriptorOf(response);
    const entry = told?.digest === image.digest ? { ...told, ...image } : image;
    addToLayout(receive.dest, entry, (attrs['name'] ?? '').split(',').filter(Boolean));
  }
}

function descriptorOf(response: Readonly<Record<string, string>>): LayoutEntry | undefined {
  const text = response['containerimage.descriptor'];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as LayoutEntry;
  } catch {
    return undefined; // what is in the layout says what it is, too
  }
}

/** Larger blobs are no manifests. Bytes. */
const MANIFEST_MAX = 4 << 20;

/**
 * The manifest or index among blobs that no other of them refers to. The daemon's answer names only one image, whichever
 * of several outputs was last.
 */
export function topOf(layout: string, digests: Iterable<string>): LayoutEntry | undefined {
  const documents: { readonly entry: LayoutEntry; readonly refersTo: readonly string[] }[] = [];
  for (const digest of digests) {
    if (!isDigest(digest)) continue;
    const file = layoutBlobFile(layout, digest);
    const { size } = statSync(file);
    const parsed = size > MANIFEST_MAX ? undefined : parseManifest(readFileSync(file));
    if (parsed === undefined) continue;
    documents.push({ entry: { mediaType: parsed.mediaType, digest, size }, refersTo: parsed.refersTo });
  }
  const inner = new Set(documents.flatMap(({ refersTo }) => refersTo));
  return documents.find(({ entry }) => !inner.has(entry.digest))?.entry;
}

function parseManifest(
  bytes: Uint8Array,
): { readonly mediaType: string; readonly refersTo: readonly string[] } | undefined {
  // A compressed layer is no text that begins so.
  if (bytes[0] !== 0x7b) return undefined;
  try {
    const { mediaType = '', manifests = [] } = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
      readonly mediaType?: string;
      readonly manifests?: readonly { readonly digest: string }[];
    };
    const isManifest = /(?:manifest|index|list)\.v\d\+json$/.test(mediaType);
    return isManifest ? { mediaType, refersTo: manifests.map(({ digest }) => digest) } : undefined;
  } catch {
    return undefined;
  }
}
