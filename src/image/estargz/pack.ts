import { createReadStream } from 'node:fs';
import type { Layer, LayerBlob, LayerId } from '../../contracts/index.ts';
import type { Store } from '../../store/index.ts';
import { asBuildError } from '../../sys/errno.ts';
import { DEFAULT_LEVELS } from '../compress.ts';
import { decompress } from '../decompress.ts';
import { isBaseLayer } from '../own-layer.ts';
import type { PackOptions } from '../pack/options.ts';
import { isLaterThan } from '../pack/plan.ts';
import { tarOf } from '../pack/tar-of.ts';
import { MEDIA_TYPES } from '../types.ts';
import { isEstargz } from './toc-annotations.ts';
import { writeEstargz } from './write.ts';

/**
 * The layer as an eStargz blob. Its table of contents is part of what it unpacks to, so it has a diff ID of its own and
 * is a layer of its own in the store, found again by the first one's id.
 */
export async function packEstargz(layer: Layer, store: Store, options: PackOptions): Promise<LayerBlob> {
  const row = store.layer(layer.id);
  const own = row?.blobs.find((blob) => blob.local && isEstargz(blob));
  if (own !== undefined) {
    const { mediaType, digest, size, diffId, annotations } = own;
    return { mediaType, digest, size, diffId, annotations };
  }
  const tree = await layer.tree();
  const isBase = row !== undefined && isBaseLayer(row, store);
  const epoch = options.epoch !== undefined && !isBase && isLaterThan(tree, options.epoch) ? options.epoch : undefined;
  const level = options.level ?? DEFAULT_LEVELS.gzip;
  const compressor = `zlib ${process.versions.zlib} estargz-${level}`;

  const key = `image/estargz ${layer.id} ${epoch ?? ''} ${compressor}`;
  const known = find(store, store.readFact(key));
  if (known !== undefined) return known;

  const came = epoch === undefined && row !== undefined && row.blobs.length > 0 ? await layer.blob() : undefined;
  const name = `layer ${came?.digest ?? layer.id}`;
  const tar =
    came === undefined
      ? (await tarOf(tree, (paths) => layer.locate(paths), { epoch })).stream
      : {
          blocks: decompress(createReadStream(store.blobPath(came.digest), { highWaterMark: 1 << 20 }), { name }),
          release: undefined,
        };
  const blob = await write(tar, { name, level }, store, options);
  const id = store.newLayer();
  store.saveLayer(id, { diffId: blob.diffId, blob: { ...blob, compressor } });
  store.writeFact(key, id);
  return blob;
}

function find(store: Store, id: LayerId | undefined): LayerBlob | undefined {
  const blob = (id === undefined ? undefined : store.layer(id))?.blobs.find((one) => one.local && isEstargz(one));
  if (blob === undefined) return undefined;
  const { mediaType, digest, size, diffId, annotations } = blob;
  return { mediaType, digest, size, diffId, annotations };
}

async function write(
  tar: { readonly blocks: AsyncIterable<Uint8Array>; readonly release: ((block: Uint8Array) => void) | undefined },
  how: { readonly name: string; readonly level: number },
  store: Store,
  { signal, onProgress }: PackOptions,
): Promise<LayerBlob> {
  const writer = await store.createBlob();
  try {
    const blob = writeEstargz(counted(tar.blocks, signal, onProgress), { ...how, release: tar.release });
    for await (const piece of blob.bytes) await writer.write(piece);
    const { digest, size } = await writer.commit();
    return { mediaType: MEDIA_TYPES.ociLayerGzip, digest, size, ...blob.result() };
  } catch (error) {
    await writer.abort();
    throw asBuildError(error, 'pack a layer');
  }
}

async function* counted(
  blocks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  onProgress: PackOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const block of blocks) {
    signal?.throwIfAborted();
    done += block.length;
    yield block;
    onProgress?.(done, done);
  }
}
