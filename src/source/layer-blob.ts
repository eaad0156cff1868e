import { createReadStream } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import type { Digest, LayerId, Tree, TreePath } from '../contracts/index.ts';
import { decompress, isForeignLayer, readBlob, readLayer, splitUrls } from '../image/index.ts';
import type { Registry } from '../registry/index.ts';
import type { BlobWriter, LayerRow, Store } from '../store/index.ts';
import { cancelled } from './cancelled.ts';
import { streamBlob } from './image/origin.ts';
import { BLOCK_SIZE, inBlocks } from './in-blocks.ts';
import type { LayerProgress } from './progress.ts';

export interface BlobDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly signal: AbortSignal;
  readonly progress: (id: LayerId, digest: Digest, size: number) => LayerProgress;
  /** Work that must have ended before the store is closed. */
  readonly track: <T>(work: Promise<T>) => Promise<T>;
}

export type BlobRow = LayerRow['blobs'][number];

/**
 * Makes a layer's blob local and trusted and its tree known, in one reading: downloaded bytes go to the store, to the
 * digest and through the decompressor to the tree as they come. Two processes that want one blob take turns.
 *
 * @returns The blob.
 * @throws BuildError `digest-mismatch`, `hostile`, `registry`, `auth`, `image-not-found`, `store`
 */
export async function ingestBlob(id: LayerId, deps: BlobDeps): Promise<BlobRow> {
  let failure: BuildError | undefined;
  for (const candidate of byNearness(rowOf(id, deps).blobs)) {
    const lock = await deps.store.lock(`blob ${candidate.digest}`, {
      signal: deps.signal,
      doing: `which reads layer ${candidate.digest}`,
    });
    try {
      const row = rowOf(id, deps);
      const blob = row.blobs.find((other) => other.digest === candidate.digest) ?? candidate;
      if (!isTrusted(blob, deps) || !row.hasTree) await ingest(id, blob, deps);
      return { ...blob, local: true };
    } catch (error) {
      if (deps.signal.aborted) throw cancelled(deps.signal);
      // A blob that lies about its diff ID must not spoil a layer that another, honest one has too.
      const mayHaveOther = error instanceof BuildError && error.code !== 'cancelled' && error.code !== 'disk-full';
      if (!mayHaveOther) throw error;
      failure ??= error;
    } finally {
      lock.release();
    }
  }
  const message = `layer ${id} has neither tree nor blob`;
  throw failure ?? new BuildError({ code: 'store', message, hint: 'build again with --no-cache' });
}

/**
 * Whether a local blob is known to unpack to its diff ID: we packed it, or have read it. An image may name any blob for
 * any diff ID; until somebody has looked, it is the word of whoever made the image.
 */
export function isTrusted(blob: BlobRow, { store }: Pick<BlobDeps, 'store'>): boolean {
  return blob.local && (blob.compressor !== undefined || store.readFact(diffIdFact(blob)) === blob.diffId);
}

function diffIdFact({ digest }: BlobRow): string {
  return `diff-id ${digest}`;
}

async function ingest(id: LayerId, blob: BlobRow, deps: BlobDeps): Promise<void> {
  const { store, signal } = deps;
  const progress = deps.progress(id, blob.digest, blob.size);
  try {
    if (blob.local) {
      const source = createReadStream(store.blobPath(blob.digest), { highWaterMark: BLOCK_SIZE });
      await progress.reading(() => readTree(id, blob, source, deps));
      return;
    }
    await progress.downloading(async (onProgress) => {
      const writer = await store.createBlob();
      await into(writer, async () => {
        const parts = streamBlob(blob.repositories, blob, deps.registry, { signal, onProgress });
        const tee = new Tee(inBlocks(parts), writer);
        await readTree(id, blob, tee.stream(), deps, async () => {
          await tee.rest();
          await writer.commit(blob);
        });
      });
    });
  } catch (error) {
    throw naming(error, blob);
  }
}

async function into(writer: BlobWriter, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** @param verified Ends the verification of the compressed bytes; nothing is saved before. */
async function readTree(
  id: LayerId,
  blob: BlobRow,
  compressed: AsyncIterable<Uint8Array>,
  deps: BlobDeps,
  verified: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const { store, signal } = deps;
  const name = `layer ${blob.digest}`;
  let layer;
  try {
    layer = await readBlob(compressed, { name, size: blob.size, signal });
  } catch (error) {
    // Damaged bytes look like a hostile archive first: their digest says what they are.
    if (error instanceof BuildError && error.code === 'hostile') await verified();
    throw error;
  }
  await verified();
  store.writeFact(diffIdFact(blob), layer.diffId);
  if (layer.diffId !== blob.diffId) {
    throw new BuildError({
      code: 'digest-mismatch',
      message: `layer ${blob.digest} is not what its image says: diff ID ${layer.diffId}, wanted ${blob.diffId}`,
      hint: 'the image is damaged or was made by a faulty tool',
    });
  }
  const { digest, size, mediaType, diffId, annotations, compressor } = blob;
  store.saveLayer(id, {
    diffId,
    size: layer.contentSize,
    blob: { digest, size, mediaType, diffId, annotations, compressor },
  });
  if (store.layer(id)?.hasTree !== true) await store.writeTree(id, layer.tree);
}

/**
 * Puts files of a layer into the store's file area, by one reading of its blob that ends with the last of them.
 *
 * @param blob Local and trusted.
 * @param wanted Paths of regular files in `tree`.
 * @throws BuildError `digest-mismatch`, `store`
 */
export async function extractFiles(
  id: LayerId,
  blob: BlobRow,
  tree: Tree,
  wanted: ReadonlySet<TreePath>,
  deps: BlobDeps,
): Promise<void> {
  const { store } = deps;
  const digests = new Set<Digest>();
  const sizes = new Set<number>();
  for (const path of wanted) {
    const entry = tree.get(path);
    if (entry?.type !== 'file' || entry.digest === undefined || store.hasFile(entry.digest)) continue;
    digests.add(entry.digest);
    sizes.add(entry.size);
  }
  const digestAt = (path: TreePath): Digest | undefined => {
    const entry = tree.get(path);
    return entry?.type === 'file' ? entry.digest : undefined;
  };
  const progress = deps.progress(id, blob.digest, blob.size);
  await progress.extracting(async () => {
    await capture(blob, digests, (path) => isIn(digests, digestAt(path)), deps);
    // A file whose first name was given to another later in the archive is found by its size only.
    await capture(blob, digests, (_, size) => sizes.has(size), deps);
  });
  const [missing] = digests;
  if (missing === undefined) return;
  throw new BuildError({ code: 'store', message: `${missing} is not in layer ${blob.digest}, whose tree names it` });
}

function isIn(digests: ReadonlySet<Digest>, digest: Digest | undefined): boolean {
  return digest !== undefined && digests.has(digest);
}

/** One reading of a local blob, up to the last of `digests`; they are taken out of the set as they come. */
async function capture(
  blob: BlobRow,
  digests: Set<Digest>,
  wanted: (path: TreePath, size: number) => boolean,
  { store, signal }: BlobDeps,
): Promise<void> {
  if (digests.size === 0) return;
  const name = `layer ${blob.digest}`;
  const source = createReadStream(store.blobPath(blob.digest), { highWaterMark: BLOCK_SIZE });
  const complete = new Error('complete');
  async function* untilComplete(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of decompress(source, { name })) {
      // The blob was verified when it came: its end need not be read again.
      if (digests.size === 0) throw complete;
      yield chunk;
    }
  }
  const counting = {
    hasFile: (digest: Digest) => store.hasFile(digest),
    async createFile(): Promise<BlobWriter> {
      const writer = await store.createFile();
      return {
        write: (data) => writer.write(data),
        abort: () => writer.abort(),
        async commit(expected) {
          const written = await writer.commit(expected);
          digests.delete(written.digest);
          return written;
        },
      };
    },
  };
  try {
    await readLayer(untilComplete(), { name, signal, capture: { store: counting, wanted } });
  } catch (error) {
    if (error !== complete) throw naming(error, blob);
  } finally {
    source.destroy();
  }
}

/** @throws BuildError `store` when the row is gone */
export function rowOf(id: LayerId, { store }: BlobDeps): LayerRow {
  const row = store.layer(id);
  if (row !== undefined) return row;
  throw new BuildError({
    code: 'store',
    message: `layer ${id} is not in the store any more`,
    hint: 'build again; another process may have removed it',
  });
}

/** Local blobs first, then those that are known to be somewhere. */
function byNearness(blobs: readonly BlobRow[]): readonly BlobRow[] {
  return [...blobs.filter(({ local }) => local), ...blobs.filter(({ local }) => !local)];
}

function naming(error: unknown, blob: BlobRow): unknown {
  if (!(error instanceof BuildError)) return error;
  const init = error.toInit();
  const hint = isForeignLayer(blob) ? foreignHint(blob) : init.hint;
  if (error.message.includes(blob.digest) && hint === init.hint) return error;
  const from = blob.repositories[0];
  const where = error.message.includes(blob.digest)
    ? ''
    : ` (layer ${blob.digest}${from === undefined ? '' : ` of ${from}`})`;
  return new BuildError({ ...init, message: `${error.message}${where}`, hint });
}

function foreignHint({ annotations }: BlobRow): string {
  const { urls } = splitUrls(annotations);
  const where = urls === undefined ? 'whoever made the image has it' : `it is at ${urls.join(', ')}`;
  return `this is a foreign layer, which registries do not keep: ${where}; ADD it from there, or use another base`;
}

/** A stream that is read by one and written by another; the reader may stop before its end. */
class Tee {
  readonly #parts: AsyncIterator<Uint8Array>;
  readonly #writer: BlobWriter;
  #before: Promise<unknown> = Promise.resolve();

  constructor(parts: AsyncIterable<Uint8Array>, writer: BlobWriter) {
    this.#parts = parts[Symbol.asyncIterator]();
    this.#writer = writer;
  }

  /** For the reader. Its early end does not end the source. */
  stream(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) };
  }

  /** What the reader left. */
  async rest(): Promise<void> {
    while ((await this.#next()).done !== true);
  }

  /** One part at a time, also when a reader that has stopped still waits for one. */
  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const next = this.#before.then(() => this.#step());
    this.#before = next.catch(() => undefined);
    return next;
  }

  async #step(): Promise<IteratorResult<Uint8Array, undefined>> {
    const part = await this.#parts.next();
    if (part.done === true) return { done: true, value: undefined };
    await this.#writer.write(part.value);
    return { done: false, value: part.value };
  }
}
