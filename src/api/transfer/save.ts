import { resolve } from 'node:path';
import { BuildError, type Digest } from '../../contracts/index.ts';
import { loadArchives, type ArchivedImage } from '../../export/index.ts';
import { isForeignLayer, parseDocument, type Descriptor, type Manifest } from '../../image/index.ts';
import { findImage, openImage } from '../open-image.ts';
import { step } from '../records/steps.ts';
import { withRooms, type Rooms } from './rooms.ts';
import type { SaveOptions } from './types.ts';

/**
 * Writes images of the local store into one archive, with their names. Layers that were never pulled are pulled now.
 *
 * @throws BuildError `image-not-found`, `usage`, `export`, `permission`, `registry`
 */
export async function saveImages(names: readonly string[], options: SaveOptions = {}): Promise<void> {
  const { openArchive, saveArchive } = await loadArchives();
  const path = options.output === undefined ? undefined : resolve(options.cwd ?? process.cwd(), options.output);
  const open = openArchive(path, options.stdout ?? process.stdout);
  await withRooms(options, async (rooms) => {
    const images = new Map<Digest, ArchivedImage>();
    for (const name of names) {
      const image = await archived(name, options, rooms);
      const { digest } = image.root;
      const known = images.get(digest)?.names ?? [];
      images.set(digest, { ...image, names: [...new Set([...known, ...image.names])] });
    }
    await step(rooms.events, `saving ${names.join(', ')}`, async (events) => {
      await saveArchive([...images.values()], open(), rooms.store, { events, signal: rooms.signal });
    });
  });
}

async function archived(name: string, options: SaveOptions, rooms: Rooms): Promise<ArchivedImage> {
  const { store } = rooms;
  const { row, config } = await findImage(store, name);
  // By ID an image is saved without a name, as docker does.
  const names = config === undefined && !row.digest.includes(name.replace('sha256:', '')) ? [row.name] : [];
  if (options.format !== 'oci') {
    const { digest, manifest } = await openImage(store, name, options.platform);
    const bytes = await store.readBlob(digest);
    const mediaType = parseDocument(bytes, undefined, { name, code: 'store' }).mediaType;
    const root: Descriptor = { mediaType, digest, size: bytes.length };
    const documents = [{ descriptor: root, bytes }, await document(manifest.config, name, rooms)];
    const own = ownLayers(manifest.layers, rooms);
    await Promise.all(own.map(async (layer) => await fetchBlob(layer, name, rooms)));
    const layers = manifest.layers.map((layer) => layer.digest);
    return { names, root, documents, layers: own, docker: { config: manifest.config.digest, layers } };
  }
  const bytes = await store.readBlob(row.digest);
  const root: Descriptor = { mediaType: row.mediaType, digest: row.digest, size: bytes.length };
  const parsed = parseDocument(bytes, row.mediaType, { name, code: 'store' });
  const documents = [{ descriptor: root, bytes }];
  const manifests: Manifest[] = [];
  if (parsed.kind === 'manifest') manifests.push(parsed.document);
  else {
    for (const descriptor of parsed.document.manifests) {
      // Platforms that were not pulled stay away, as image-spec allows.
      if (!store.hasBlob(descriptor.digest)) continue;
      const inner = await document(descriptor, name, rooms);
      documents.push(inner);
      const found = parseDocument(inner.bytes, descriptor.mediaType, { name, code: 'store' });
      if (found.kind === 'manifest') manifests.push(found.document);
    }
  }
  const all = [...new Map(manifests.flatMap(({ layers }) => layers).map((one) => [one.digest, one])).values()];
  const blobs = ownLayers(all, rooms);
  for (const manifest of manifests) documents.push(await document(manifest.config, name, rooms));
  await Promise.all(blobs.map(async (layer) => await fetchBlob(layer, name, rooms)));
  return { names, root, documents, layers: blobs, docker: undefined };
}

function ownLayers(layers: readonly Descriptor[], { events }: Rooms): readonly Descriptor[] {
  for (const { digest } of layers.filter(isForeignLayer))
    events({ type: 'warning', message: `the foreign layer ${digest} is not saved` });
  return layers.filter((layer) => !isForeignLayer(layer));
}

async function document(descriptor: Descriptor, name: string, rooms: Rooms) {
  await fetchBlob(descriptor, name, rooms);
  return { descriptor, bytes: await rooms.store.readBlob(descriptor.digest) };
}

/** A base's layer that no step ever needed is where it came from. */
async function fetchBlob(
  { digest, size }: Descriptor,
  name: string,
  { store, registry, signal }: Rooms,
): Promise<void> {
  if (store.hasBlob(digest)) return;
  const id = store.findLayer({ blob: digest });
  const known = id === undefined ? undefined : store.layer(id)?.blobs.find((blob) => blob.digest === digest);
  const repositories = (known?.repositories ?? []).filter((repository) => !repository.startsWith('oci-layout:'));
  if (repositories.length > 0) {
    await registry.pullBlob(repositories, { digest, size }, store, { signal });
    return;
  }
  throw new BuildError({
    code: 'store',
    message: `${name}: the blob ${digest} is not in the store`,
    hint: 'build or pull it again',
  });
}
