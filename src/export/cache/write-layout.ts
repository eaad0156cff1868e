import type { ExportContext } from '../../contracts/index.ts';
import type { Store } from '../../store/index.ts';
import { inParallel } from '../in-parallel.ts';
import { reported } from '../progress-report.ts';
import { fetchBlob } from './blob-source.ts';
import type { CacheBlob } from './collect.ts';
import type { CacheDocuments } from './documents.ts';
import { writeLayout } from './layout-writer.ts';
import type { LocalCache } from './target.ts';

const PARALLEL = 4;

/** A cache in a directory. */
export async function writeCacheLayout(
  { dest, tag, reset }: LocalCache,
  blobs: readonly CacheBlob[],
  { config, configBytes, manifest, manifestBytes }: CacheDocuments,
  store: Store,
  { signal, events }: ExportContext,
): Promise<void> {
  await writeLayout(dest, signal, async (layout) => {
    const jobs = blobs.map((source) => async (): Promise<void> => {
      const { digest, size } = source.blob;
      if (await layout.has(digest, size)) return;
      await fetchBlob(source, store);
      await layout.putFile(digest, store.blobPath(digest));
    });
    await reported(events, `writing layers to ${dest}`, () => inParallel(jobs, PARALLEL));
    await layout.put(config.digest, configBytes);
    await layout.put(manifest.digest, manifestBytes);
    await layout.tag(manifest, tag);
    if (reset) await layout.removeUnnamed();
  });
}
