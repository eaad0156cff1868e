import type { ExportContext } from '../../contracts/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Store } from '../../store/index.ts';
import { inParallel } from '../in-parallel.ts';
import { reportProgress, reported } from '../progress-report.ts';
import { bytesOf, readBlob } from './blob-source.ts';
import type { CacheBlob } from './collect.ts';
import type { CacheDocuments } from './documents.ts';
import type { RegistryCache } from './target.ts';

/** Blobs that are sent at once. */
const PARALLEL = 4;

/** Blobs, then config, then the manifest under its tag: a reader finds the old cache or the new one, never half of one. */
export async function pushCache(
  { repository, tag }: RegistryCache,
  blobs: readonly CacheBlob[],
  documents: CacheDocuments,
  deps: { readonly registry: Registry; readonly store: Store; readonly mountFrom: readonly string[] },
  { signal, events }: ExportContext,
): Promise<void> {
  const { registry, store } = deps;
  const jobs = blobs.map((source) => async (): Promise<void> => {
    const { digest, size } = source.blob;
    const progress = reportProgress(events, `writing layer ${digest}`, `writing layer ${digest}`);
    await registry.pushBlob(
      repository,
      { digest, size, open: () => readBlob(source, store) },
      {
        signal,
        mountFrom: [...new Set([...source.repositories, ...deps.mountFrom])],
        onProgress: (bytes) => progress.update(bytes, size),
      },
    );
    progress.done();
  });
  await inParallel(jobs, PARALLEL);
  const { config, configBytes, manifest, manifestBytes } = documents;
  await reported(events, `writing config ${config.digest}`, () =>
    registry.pushBlob(
      repository,
      { digest: config.digest, size: config.size, open: () => bytesOf(configBytes) },
      { signal },
    ),
  );
  await reported(events, `writing cache manifest ${manifest.digest}`, () =>
    registry.pushManifest(repository, tag, { mediaType: manifest.mediaType, bytes: manifestBytes }, { signal }),
  );
}
