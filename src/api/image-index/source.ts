import { createReadStream } from 'node:fs';
import { BuildError, type Digest } from '../../contracts/index.ts';
import { parseDocument, parseReference, referenceToString, repositoryName } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Store } from '../../store/index.ts';
import { findImage } from '../open-image.ts';
import type { ImageSource } from './types.ts';

export interface SourceRooms {
  readonly store: Store;
  readonly registry: Registry;
}

/**
 * An image that was built here, else what its registry has under the name.
 *
 * @param place `store`: what is in the store and nothing else.
 * @throws BuildError `usage`, `image-not-found`, `registry`, `auth`
 */
export async function openSource(name: string, rooms: SourceRooms, place?: 'store'): Promise<ImageSource> {
  const full = referenceToString(parseReference(name));
  const row = rooms.store.image(full);
  const isKnown = row !== undefined && (row.origin === 'build' || place === 'store');
  if (isKnown && rooms.store.hasBlob(row.digest)) return await storeSource(name, row, rooms);
  if (place === 'store') await findImage(rooms.store, full);
  return await registrySource(name, rooms.registry);
}

async function storeSource(
  name: string,
  { digest, mediaType }: { readonly digest: Digest; readonly mediaType: string },
  { store, registry }: SourceRooms,
): Promise<ImageSource> {
  const bytes = await store.readBlob(digest);
  const repositoriesOf = (blob: Digest): readonly string[] => {
    const layer = store.findLayer({ blob });
    const row = layer === undefined ? undefined : store.layer(layer);
    const known = row?.blobs.find((one) => one.digest === blob)?.repositories ?? [];
    return known.filter((repository) => !repository.startsWith('oci-layout:'));
  };
  return {
    name,
    place: 'store',
    root: {
      descriptor: { mediaType, digest, size: bytes.length },
      bytes,
      parsed: parseDocument(bytes, mediaType, { name: `the manifest of ${name}`, code: 'store' }),
    },
    manifest: async (descriptor) => await store.readBlob(descriptor.digest),
    async *blob(descriptor) {
      if (store.hasBlob(descriptor.digest)) {
        yield* createReadStream(store.blobPath(descriptor.digest), { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>;
        return;
      }
      // A base's layer that no step ever needed is where it came from.
      const [repository] = repositoriesOf(descriptor.digest);
      if (repository === undefined) {
        throw new BuildError({
          code: 'store',
          message: `${name}: the blob ${descriptor.digest} is not in the store`,
          hint: 'build it again',
        });
      }
      yield* registry.fetchBlob(repository, descriptor);
    },
    repositoriesOf,
  };
}

async function registrySource(name: string, registry: Registry): Promise<ImageSource> {
  const reference = parseReference(name);
  const repository = repositoryName(reference);
  const found = await registry.fetchManifest(repository, reference.digest ?? reference.tag ?? 'latest');
  const { descriptor, bytes } = found;
  return {
    name,
    place: 'registry',
    root: {
      descriptor,
      bytes,
      parsed: parseDocument(bytes, descriptor.mediaType, { name: `the manifest of ${name}`, code: 'hostile' }),
    },
    manifest: async ({ digest }) => (await registry.fetchManifest(repository, digest)).bytes,
    blob: (wanted) => registry.fetchBlob(repository, wanted),
    repositoriesOf: () => [repository],
  };
}
