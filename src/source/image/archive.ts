/**
 * Images out of archives: OCI layouts (image-spec image-layout.md), and what `docker save` writes and wrote before it
 * wrote layouts (moby: image/tarexport). Nothing of an archive is believed: digests are computed, diff IDs are those of
 * what layers unpack to, and paths stay below the archive.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import type { Digest, Layer, LayerId } from '../../contracts/index.ts';
import {
  CONFIG_SIZE_MAX,
  MEDIA_TYPES,
  decompress,
  detectCompression,
  isReference,
  parseDocument,
  parseImageConfig,
  parseIndex,
  parseReference,
  referenceToString,
} from '../../image/index.ts';
import type { Descriptor, Manifest } from '../../image/index.ts';
import type { Store } from '../../store/index.ts';
import { readLayoutBlob, streamLayoutBlob } from './layout.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';
const IMAGE_NAME = 'io.containerd.image.name';
/** Images that one archive may hold. */
const IMAGES_MAX = 1000;

export interface ArchiveDeps {
  readonly store: Store;
  readonly signal: AbortSignal;
  readonly storeLayer: (id: LayerId) => Layer;
}

/** An image that is in the store now, whole and verified, under no name yet. */
export interface ImportedImage {
  /** Full names, as the archive says. */
  readonly names: readonly string[];
  readonly digest: Digest;
  readonly mediaType: string;
}

/**
 * Takes the images of an unpacked archive into the store.
 *
 * @param what For messages: the archive's path, `standard input`.
 * @throws BuildError `context` when it is no archive of images; `digest-mismatch`, `hostile`, `disk-full`
 */
export async function importImages(
  directory: string,
  what: string,
  deps: ArchiveDeps,
): Promise<readonly ImportedImage[]> {
  if (await isFile(join(directory, 'index.json'))) return await fromLayout(directory, what, deps);
  if (await isFile(join(directory, 'manifest.json'))) return await fromDockerSave(directory, what, deps);
  throw new BuildError({
    code: 'context',
    message: `${what} holds no image`,
    hint: 'an archive of images has an index.json (OCI layout) or a manifest.json (docker save); a tar of files is imported by a Dockerfile: FROM scratch, ADD files.tar /',
  });
}

async function fromLayout(directory: string, what: string, deps: ArchiveDeps): Promise<readonly ImportedImage[]> {
  const subject = { name: `index.json of ${what}`, code: 'hostile' } as const;
  const { manifests } = parseIndex(await readSmall(directory, 'index.json', what), subject);
  const found = new Map<Digest, { readonly names: Set<string>; readonly mediaType: string }>();
  for (const { digest, mediaType, annotations } of manifests.slice(0, IMAGES_MAX)) {
    let image = found.get(digest);
    if (image === undefined) {
      const type = await takeDocument({ digest, mediaType }, directory, what, deps);
      found.set(digest, (image = { names: new Set(), mediaType: type }));
    }
    for (const name of fullNames(annotations)) image.names.add(name);
  }
  return [...found].map(([digest, { names, mediaType }]) => ({ digest, mediaType, names: [...names] }));
}

/** `ref.name` is a tag by itself in some layouts, and says no name then. */
function fullNames(annotations: Descriptor['annotations']): readonly string[] {
  const name = annotations?.[IMAGE_NAME] ?? annotations?.[REF_NAME];
  const isWhole = name !== undefined && (annotations?.[IMAGE_NAME] !== undefined || /[/:]/.test(name));
  return isWhole && isReference(name) ? [referenceToString(parseReference(name))] : [];
}

/** A manifest with all that it refers to, or an index with what of it the layout has. @returns Its media type. */
async function takeDocument(
  { digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>,
  directory: string,
  what: string,
  deps: ArchiveDeps,
  depth = 0,
): Promise<string> {
  const bytes = await readLayoutBlob(directory, digest);
  const parsed = parseDocument(bytes, mediaType, { name: `manifest ${digest} of ${what}`, code: 'hostile' });
  if (parsed.kind === 'manifest') {
    await takeManifest(parsed.document, directory, what, deps);
  } else {
    if (depth > 0) throw new BuildError({ code: 'unsupported', message: `${what} holds an index of indexes` });
    for (const child of parsed.document.manifests) {
      const path = join(directory, 'blobs', 'sha256', child.digest.slice('sha256:'.length));
      // Archives of one platform keep the whole index (containerd does): what they leave out is no damage.
      if (await isFile(path)) await takeDocument(child, directory, what, deps, depth + 1);
    }
  }
  await deps.store.putBlob(bytes);
  return parsed.mediaType;
}

async function takeManifest(manifest: Manifest, directory: string, what: string, deps: ArchiveDeps): Promise<void> {
  const { store } = deps;
  const config = await readLayoutBlob(directory, manifest.config.digest);
  await store.putBlob(config);
  const isImage =
    manifest.config.mediaType === MEDIA_TYPES.ociConfig || manifest.config.mediaType === MEDIA_TYPES.dockerConfig;
  const rootfs = isImage
    ? parseImageConfig(config, { name: `the config of ${what}`, code: 'hostile' }).rootfs
    : undefined;
  const diffIds = rootfs?.diff_ids ?? [];
  const isAttestation = manifest.layers.every(({ mediaType }) => mediaType.includes('in-toto'));
  if (!isAttestation && diffIds.length !== manifest.layers.length) {
    throw new BuildError({
      code: 'hostile',
      message: `${what} contradicts itself: ${manifest.layers.length} layers, ${diffIds.length} diff IDs`,
    });
  }
  for (const [i, layer] of manifest.layers.entries()) {
    await takeBlob(streamLayoutBlob(directory, layer.digest), layer, store);
    const diffId = diffIds[i];
    if (!isAttestation && diffId !== undefined) await takeLayer(layer, diffId, deps);
  }
}

async function takeBlob(
  source: AsyncIterable<Uint8Array>,
  expected: Pick<Descriptor, 'digest' | 'size'> | undefined,
  store: Store,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  if (expected !== undefined && store.hasBlob(expected.digest)) return expected;
  const writer = await store.createBlob();
  try {
    for await (const part of source) await writer.write(part);
    return await writer.commit(expected);
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** The row of a layer; its blob is read once, so that it is known to be what the config says. */
async function takeLayer(
  { digest, size, mediaType, annotations }: Descriptor,
  diffId: Digest,
  { store, storeLayer }: ArchiveDeps,
): Promise<void> {
  const known = store.findLayer({ diffId });
  const row = known === undefined ? undefined : store.layer(known);
  if (
    row !== undefined &&
    row.blobs.every((blob) => blob.digest !== digest) &&
    (row.hasDir || row.blobs.some(({ local }) => local))
  ) {
    // The layer is here under another blob, which stays what builds read; this one is only the image's.
    await checkDiffId(digest, diffId, store);
    return;
  }
  const id = known ?? store.newLayer();
  store.saveLayer(id, { diffId, blob: { mediaType, digest, size, diffId, annotations } });
  await storeLayer(id).blob();
}

async function checkDiffId(digest: Digest, diffId: Digest, store: Store): Promise<void> {
  const hash = createHash('sha256');
  const name = `layer ${digest}`;
  const source = createReadStream(store.blobPath(digest), { highWaterMark: 1 << 18 });
  for await (const part of decompress(source, { name })) hash.update(part);
  const found = `sha256:${hash.digest('hex')}`;
  if (found === diffId) return;
  throw new BuildError({
    code: 'digest-mismatch',
    message: `${name} is not what its image says: diff ID ${found}, wanted ${diffId}`,
    hint: 'the image is damaged or was made by a faulty tool',
  });
}

async function fromDockerSave(directory: string, what: string, deps: ArchiveDeps): Promise<readonly ImportedImage[]> {
  const { store } = deps;
  const images: ImportedImage[] = [];
  for (const entry of parseSaved(await readSmall(directory, 'manifest.json', what), what)) {
    const config = await readSmall(directory, entry.config, what);
    const subject = { name: `${entry.config} of ${what}`, code: 'hostile' } as const;
    const diffIds = parseImageConfig(config, subject).rootfs?.diff_ids ?? [];
    if (diffIds.length !== entry.layers.length) {
      throw new BuildError({
        code: 'hostile',
        message: `${what} contradicts itself: ${entry.layers.length} layers, ${diffIds.length} diff IDs`,
      });
    }
    const layers: Descriptor[] = [];
    for (const [i, name] of entry.layers.entries()) {
      const path = await inside(directory, name, what);
      const blob = await takeBlob(createReadStream(path, { highWaterMark: 1 << 18 }), undefined, store);
      const layer = { mediaType: await layerType(path), ...blob };
      layers.push(layer);
      const diffId = diffIds[i];
      if (diffId !== undefined) await takeLayer(layer, diffId, deps);
    }
    const { digest, size } = await store.putBlob(config);
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: MEDIA_TYPES.ociConfig, digest, size },
      layers,
    };
    const saved = await store.putBlob(Buffer.from(JSON.stringify(manifest)));
    const names = entry.tags.filter(isReference).map((tag) => referenceToString(parseReference(tag)));
    images.push({ names, digest: saved.digest, mediaType: MEDIA_TYPES.ociManifest });
  }
  return images;
}

interface SavedEntry {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

function parseSaved(bytes: Uint8Array, what: string): readonly SavedEntry[] {
  const fail = (): BuildError => new BuildError({ code: 'hostile', message: `manifest.json of ${what} is damaged` });
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw fail();
  }
  if (!Array.isArray(document) || document.length > IMAGES_MAX) throw fail();
  return document.map((entry: unknown) => {
    if (entry === null || typeof entry !== 'object') throw fail();
    const { Config: config, RepoTags: tags, Layers: layers } = entry as Record<string, unknown>;
    if (typeof config !== 'string' || !isStrings(layers) || !(tags === null || tags === undefined || isStrings(tags)))
      throw fail();
    return { config, tags: tags ?? [], layers };
  });
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

async function layerType(path: string): Promise<string> {
  for await (const head of createReadStream(path, { end: 7 })) {
    const format = detectCompression(head as Buffer);
    if (format === 'gzip') return MEDIA_TYPES.ociLayerGzip;
    if (format === 'zstd') return MEDIA_TYPES.ociLayerZstd;
  }
  return MEDIA_TYPES.ociLayer;
}

async function readSmall(directory: string, name: string, what: string): Promise<Uint8Array> {
  const path = await inside(directory, name, what);
  const { size } = await stat(path);
  if (size <= CONFIG_SIZE_MAX) return await readFile(path);
  throw new BuildError({ code: 'hostile', message: `${name} of ${what} is too large for what it should be` });
}

/** A file of the archive. Links may lead about in it (old archives share layers so), not out of it. */
async function inside(directory: string, name: string, what: string): Promise<string> {
  const root = await realpath(directory);
  const path = await realpath(join(root, name)).catch(() => undefined);
  if (path === undefined) throw new BuildError({ code: 'hostile', message: `${what} lacks ${name}, which it names` });
  if (path.startsWith(`${root}/`) && (await isFile(path))) return path;
  throw new BuildError({ code: 'hostile', message: `${what} names ${name}, which is no file in it` });
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
