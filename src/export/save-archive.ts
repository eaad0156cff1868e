import type { Digest, ExportContext } from '../contracts/index.ts';
import type { Descriptor } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { writeArchive } from './archive-exporter.ts';
import type { ImageDocument } from './document.ts';
import { archiveFiles, dockerEntryOf, namedEntries } from './layout.ts';
import { checkFileDestination, checkStream, fileSink, streamSink } from './sink.ts';
import type { Sink } from './sink.ts';

/** An image of the store, as it is to lie in an archive. Its layers' blobs are in the store. */
export interface ArchivedImage {
  /** Full names. */
  readonly names: readonly string[];
  readonly root: Descriptor;
  /** Manifests, configs, an index. */
  readonly documents: readonly ImageDocument[];
  readonly layers: readonly { readonly digest: Digest; readonly size: number }[];
  /** What an archive for docker says besides; undefined in an OCI layout. */
  readonly docker: { readonly config: Digest; readonly layers: readonly Digest[] } | undefined;
}

/**
 * Where an archive goes: a file that appears whole or not at all, or a stream.
 *
 * @throws BuildError `export`, `permission`; `usage` for a terminal
 */
export function openArchive(path: string | undefined, stdout: NodeJS.WritableStream): () => Sink {
  if (path === undefined) {
    checkStream(stdout);
    return () => streamSink(stdout);
  }
  checkFileDestination(path);
  return () => fileSink(path);
}

/** Writes images as one archive. The same images and names give the same bytes. */
export async function saveArchive(
  images: readonly ArchivedImage[],
  sink: Sink,
  store: Store,
  context: ExportContext,
): Promise<void> {
  const parts = images.map(({ names, root, documents, layers, docker }) => ({
    entries: namedEntries(root, names, {}),
    documents,
    layers,
    docker: docker && dockerEntryOf(docker.config, docker.layers, names),
  }));
  await writeArchive(archiveFiles(parts), sink, store, context);
}
