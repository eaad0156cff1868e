import { BuildError, type BuildEventSink } from '../../contracts/index.ts';
import { reportProgress } from '../../export/index.ts';
import { isForeignLayer, parseDocument, type Descriptor } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { JoinedEntry } from './join.ts';
import type { ImageSource } from './types.ts';

/** Blobs that are under way at once. */
const PARALLEL = 4;

/**
 * Brings an entry with all that it refers to into a repository, its manifest last. What is there stays; what another
 * repository of the registry has is mounted; the rest is passed on from where it is without a copy here.
 */
export async function copyEntry(
  { descriptor, source }: JoinedEntry,
  repository: string,
  registry: Registry,
  signal: AbortSignal | undefined,
  events: BuildEventSink = () => undefined,
): Promise<void> {
  const bytes = await source.manifest(descriptor);
  const { mediaType, digest } = descriptor;
  const parsed = parseDocument(bytes, mediaType, { name: `a manifest of ${source.name}` });
  if (parsed.kind === 'index')
    throw new BuildError({ code: 'unsupported', message: `${source.name} is an index of indexes` });
  const { config, layers } = parsed.document;
  const blobs = [...new Map([config, ...layers].map((blob) => [blob.digest, blob])).values()];
  const queue = blobs.filter((blob) => !isForeignLayer(blob));
  for (const { digest } of blobs.filter(isForeignLayer))
    events({ type: 'warning', message: `the foreign layer ${digest} is not pushed` });
  const work = async (): Promise<void> => {
    for (let blob = queue.shift(); blob !== undefined; blob = queue.shift())
      await copyBlob(blob, source, repository, registry, signal, events);
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  await registry.pushManifest(repository, digest, { mediaType, bytes }, { signal });
}

async function copyBlob(
  blob: Descriptor,
  source: ImageSource,
  repository: string,
  registry: Registry,
  signal: AbortSignal | undefined,
  events: BuildEventSink,
): Promise<void> {
  const { digest, size } = blob;
  const mountFrom = source.repositoriesOf(digest);
  const progress = reportProgress(events, `pushing ${digest}`, `pushing ${digest}`);
  const onProgress = (bytes: number): void => progress.update(bytes, size);
  await registry.pushBlob(
    repository,
    { digest, size, open: () => source.blob(blob) },
    { signal, mountFrom, onProgress },
  );
  progress.done();
}
