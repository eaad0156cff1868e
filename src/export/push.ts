import { createReadStream } from 'node:fs';
import type { Digest, ExportContext } from '../contracts/index.ts';
import { parseReference, repositoryName } from '../image/index.ts';
import type { Reference } from '../image/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import type { ImageDocument } from './document.ts';
import { layersOf, manifestsOf, smallBlobsOf } from './image.ts';
import type { ImageSet } from './image.ts';
import { fetchLayer } from './image-layers.ts';
import type { ImageLayer } from './image-layers.ts';
import { inParallel } from './in-parallel.ts';
import { reportProgress, reported } from './progress-report.ts';

/** Blobs that are sent at once. */
const PARALLEL = 4;

interface PushDeps {
  readonly registry: Registry;
  readonly store: Store;
}

/**
 * Sends an image to the repositories of its names: blobs, then manifests by digest, so that nothing leads to something
 * incomplete (distribution-spec, "Pushing manifests"). A base layer that the registry has, or can mount from another
 * repository, is not even pulled. What it hands back gives the names.
 */
export async function pushImages(
  set: ImageSet,
  names: readonly string[],
  { byDigest }: { readonly byDigest: boolean },
  deps: PushDeps,
  context: ExportContext,
): Promise<(context: ExportContext) => Promise<void>> {
  const references = names.map(parseReference);
  // With one name the last request brings the document and the name at once.
  const documents = manifestsOf(set).filter(({ descriptor }) => {
    const isRoot = descriptor.digest === set.root.descriptor.digest;
    return !isRoot || byDigest || references.length > 1;
  });
  const done: string[] = [];
  for (const repository of new Set(references.map(repositoryName))) {
    await reported(context.events, `pushing layers to ${repository}`, () =>
      pushBlobs(set, repository, done, deps, context),
    );
    for (const document of documents)
      await pushDocument(document, repository, document.descriptor.digest, deps, context);
    done.push(repository);
  }
  return async (later) => {
    if (!byDigest) for (const reference of references) await pushTag(set.root, reference, deps, later);
  };
}

async function pushTag(
  root: ImageDocument,
  reference: Reference,
  deps: Pick<PushDeps, 'registry'>,
  context: ExportContext,
): Promise<void> {
  await pushDocument(root, repositoryName(reference), reference.tag ?? root.descriptor.digest, deps, context);
}

async function pushDocument(
  { descriptor, bytes }: ImageDocument,
  repository: string,
  reference: string,
  { registry }: Pick<PushDeps, 'registry'>,
  { events, signal }: ExportContext,
): Promise<void> {
  const { mediaType, digest } = descriptor;
  const name = reference === digest ? `${repository}@${digest}` : `${repository}:${reference}@${digest}`;
  await reported(events, `pushing manifest for ${name}`, () =>
    registry.pushManifest(repository, reference, { mediaType, bytes }, { signal }),
  );
}

/** @param pushed Repositories that have it all by now. */
async function pushBlobs(
  set: ImageSet,
  repository: string,
  pushed: readonly string[],
  { registry, store }: PushDeps,
  context: ExportContext,
): Promise<void> {
  const { signal, events } = context;
  const jobs = layersOf(set).map((layer) => async (): Promise<void> => {
    const { digest, size } = layer.blob;
    const progress = reportProgress(events, `pushing ${digest}`, `pushing ${digest}`);
    await registry.pushBlob(
      repository,
      { digest, size, open: () => openLayer(layer, store) },
      {
        signal,
        mountFrom: [...layer.repositories, ...pushed],
        onProgress: (bytes) => progress.update(bytes, size),
      },
    );
    progress.done();
  });
  for (const { descriptor, bytes } of smallBlobsOf(set)) {
    const { digest, size } = descriptor;
    jobs.push(async () => {
      await registry.pushBlob(repository, { digest, size, open: () => bytesOf(bytes) }, { signal, mountFrom: pushed });
    });
  }
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
