import { createReadStream } from 'node:fs';
import type { Digest, ExportContext } from '../contracts/index.ts';
import { parseReference, repositoryName } from '../image/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import type { Image } from './image.ts';
import { fetchLayer } from './image-layers.ts';
import type { ImageLayer } from './image-layers.ts';
import { inParallel } from './in-parallel.ts';
import { reportProgress, reported } from './progress-report.ts';

/** Blobs that are sent at once. */
const PARALLEL = 4;

/**
 * Pushes an image under its names: blobs first, the manifest last, so that a name never leads to something incomplete
 * (distribution-spec, "Pushing manifests"). A base layer that the registry has, or can mount from a repository of its
 * own, is not even pulled.
 */
export async function pushImage(
  image: Image,
  names: readonly string[],
  { byDigest }: { readonly byDigest: boolean },
  deps: { readonly registry: Registry; readonly store: Store },
  context: ExportContext,
): Promise<void> {
  const references = names.map(parseReference);
  for (const repository of new Set(references.map(repositoryName))) {
    await reported(context.events, `pushing layers to ${repository}`, () =>
      pushBlobs(image, repository, deps, context),
    );
  }
  for (const reference of references) {
    const repository = repositoryName(reference);
    const tag = byDigest ? image.manifest.digest : (reference.tag ?? image.manifest.digest);
    await reported(context.events, `pushing manifest for ${repository}:${tag}`, () =>
      deps.registry.pushManifest(
        repository,
        tag,
        { mediaType: image.manifest.mediaType, bytes: image.manifestBytes },
        { signal: context.signal },
      ),
    );
  }
}

async function pushBlobs(
  image: Image,
  repository: string,
  { registry, store }: { readonly registry: Registry; readonly store: Store },
  context: ExportContext,
): Promise<void> {
  const { signal, events } = context;
  const layers = [...new Map(image.layers.map((layer) => [layer.blob.digest, layer])).values()];
  const jobs = layers.map((layer) => async (): Promise<void> => {
    const { digest, size } = layer.blob;
    const progress = reportProgress(events, `pushing ${digest}`, `pushing ${digest}`);
    await registry.pushBlob(
      repository,
      { digest, size, open: () => openLayer(layer, store) },
      { signal, mountFrom: layer.repositories, onProgress: (bytes) => progress.update(bytes, size) },
    );
    progress.done();
  });
  jobs.push(async () => {
    const { digest, size } = image.config;
    await registry.pushBlob(repository, { digest, size, open: () => bytesOf(image.configBytes) }, { signal });
  });
  await inParallel(jobs, PARALLEL);
}

async function* openLayer(layer: ImageLayer, store: Store): AsyncGenerator<Uint8Array> {
  await fetchLayer(layer, store);
  yield* readBlob(store, layer.blob.digest);
}

async function* readBlob(store: Store, digest: Digest): AsyncGenerator<Uint8Array> {
  yield* createReadStream(store.blobPath(digest), { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>;
}

async function* bytesOf(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}
