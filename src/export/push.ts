import { createReadStream } from 'node:fs';
import type { ExportContext, ExportResult } from '../contracts/index.ts';
import { parseReference, repositoryName } from '../image/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import type { ImageDocument } from './document.ts';
import type { EarlyPush } from './early-push.ts';
import { ownLayersOf, manifestsOf, smallBlobsOf } from './image.ts';
import type { ImageSet } from './image.ts';
import { fetchLayer } from './image-layers.ts';
import type { ImageLayer } from './image-layers.ts';
import { inParallel } from './in-parallel.ts';
import { giveNames, prepareNames, withdrawn } from './names.ts';
import { reportProgress, reported } from './progress-report.ts';

/** Blobs that are sent at once. */
const PARALLEL = 4;

interface PushDeps {
  readonly registry: Registry;
  readonly store: Store;
}

interface PushOptions {
  /** No names. */
  readonly byDigest: boolean;
  /** What is said of the images is found by their digests. */
  readonly refers?: boolean | undefined;
  /** Layers that may be there, or on their way, by now. */
  readonly early?: Pick<EarlyPush, 'brought'> | undefined;
}

/**
 * Sends an image to the repositories of its names: blobs, then manifests by digest, so that nothing leads to something
 * incomplete (distribution-spec, "Pushing manifests"). A base layer that the registry has, or can mount from another
 * repository, is not even pulled. What it hands back gives the names.
 */
export async function pushImages(
  set: ImageSet,
  names: readonly string[],
  { byDigest, refers, early }: PushOptions,
  deps: PushDeps,
  context: ExportContext,
): Promise<Required<Pick<ExportResult, 'publish' | 'withdraw'>>> {
  const references = names.map(parseReference);
  const prepared = byDigest ? Promise.resolve([]) : prepareNames(set.root, references, deps.registry, context);
  // With one name the last request brings the document and the name at once.
  const documents = manifestsOf(set).filter(({ descriptor }) => {
    const isRoot = descriptor.digest === set.root.descriptor.digest;
    return !isRoot || byDigest || references.length > 1;
  });
  const referrers = refers === true ? set.images.flatMap(({ attestations }) => attestations?.manifest ?? []) : [];
  const done: string[] = [];
  for (const repository of new Set(references.map(repositoryName))) {
    await reported(context.events, `pushing layers to ${repository}`, () =>
      pushBlobs(set, repository, { pushed: done, early }, deps, context),
    );
    for (const document of documents) {
      const referrer = referrers.find(({ descriptor }) => descriptor.digest === document.descriptor.digest);
      if (referrer === undefined) await pushDocument(document, repository, document.descriptor.digest, deps, context);
      else await pushReferrer(referrer, repository, deps, context);
    }
    done.push(repository);
  }
  const known = await prepared;
  return {
    publish: async (later) => {
      await giveNames(known, deps.registry, later);
    },
    withdraw: async (error, later) => await withdrawn(error, known, deps.registry, later),
  };
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

/** What is said of an image, found by the image's digest. */
async function pushReferrer(
  { descriptor, bytes }: ImageDocument,
  repository: string,
  { registry }: Pick<PushDeps, 'registry'>,
  { events, signal }: ExportContext,
): Promise<void> {
  await reported(events, `pushing attestation manifest for ${repository}@${descriptor.digest}`, () =>
    registry.pushReferrer(repository, { mediaType: descriptor.mediaType, bytes }, { signal }),
  );
}

/** @param pushed Repositories that have it all by now. */
async function pushBlobs(
  set: ImageSet,
  repository: string,
  { pushed, early }: { readonly pushed: readonly string[]; readonly early: PushOptions['early'] },
  { registry, store }: PushDeps,
  context: ExportContext,
): Promise<void> {
  const { signal, events } = context;
  const jobs = ownLayersOf(set).map((layer) => async (): Promise<void> => {
    const { digest, size } = layer.blob;
    const progress = reportProgress(events, `pushing ${digest}`, `pushing ${digest}`);
    if ((await early?.brought(repository, digest)) !== true) {
      await registry.pushBlob(
        repository,
        { digest, size, open: () => openLayer(layer, store, 0), openAt: (start) => openLayer(layer, store, start) },
        {
          signal,
          mountFrom: [...layer.repositories, ...pushed],
          onProgress: (bytes) => progress.update(bytes, size),
        },
      );
    }
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

async function* openLayer(layer: ImageLayer, store: Store, start: number): AsyncGenerator<Uint8Array> {
  await fetchLayer(layer, store);
  const path = store.blobPath(layer.blob.digest);
  yield* createReadStream(path, { start, highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>;
}

async function* bytesOf(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}
