import { createHash, hash } from 'node:crypto';
import { EMPTY_DIGEST } from '../contracts/index.ts';
import type { Digest, Tree, TreePath } from '../contracts/index.ts';
import type { BlobWriter, Store } from '../store/index.ts';
import { LayerTreeBuilder } from './layer-tree-builder.ts';
import { TarTokenizer } from './tar/tokenizer.ts';
import type { TarOptions } from './tar/tokenizer.ts';
import type { TarHeader } from './tar/types.ts';

export interface ReadLayerOptions extends TarOptions {
  /** Files whose bytes are put into the store's file area in passing. */
  readonly capture?:
    | {
        readonly store: Pick<Store, 'createFile' | 'hasFile'>;
        /** Asked once for each regular file, by its place in the tree. */
        wanted(path: TreePath, size: number): boolean;
      }
    | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadLayer {
  /** With the digest of every file. */
  readonly tree: Tree;
  /** Of the whole stream. */
  readonly diffId: Digest;
  /** Bytes of the stream. */
  readonly size: number;
  /** Bytes of the regular files, each hard-linked one once. */
  readonly contentSize: number;
  /**
   * Digests of the files that were captured. A wanted name that is a hard link to a file that was not wanted is not
   * among them: its digest is in the tree, and a second reading finds it.
   */
  readonly captured: ReadonlySet<Digest>;
}

/**
 * Reads the uncompressed tar of a layer to its end, once: tree, content digests and diff ID come from the same bytes.
 * Memory: the tree and the chunks of the source.
 *
 * @throws BuildError `hostile` for damaged archives and names that lead out of the layer.
 */
export async function readLayer(source: AsyncIterable<Uint8Array>, options: ReadLayerOptions = {}): Promise<ReadLayer> {
  const tokenizer = new TarTokenizer(options);
  const builder = new LayerTreeBuilder();
  const diffHash = createHash('sha256');
  const file = new FileReader(builder, options.capture);
  let size = 0;
  for await (const chunk of source) {
    options.signal?.throwIfAborted();
    diffHash.update(chunk);
    size += chunk.length;
    tokenizer.feed(chunk);
    for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) {
      const pending =
        token.kind === 'data' ? file.data(token.bytes) : token.kind === 'end' ? file.end() : file.start(token.header);
      if (pending !== undefined) await pending;
    }
  }
  tokenizer.finish();
  return {
    tree: builder.build(),
    diffId: `sha256:${diffHash.digest('hex')}`,
    size,
    contentSize: file.contentSize,
    captured: file.captured,
  };
}

/** The file under way: hashed, and written when it is wanted. Returns promises only where there is something to wait for. */
class FileReader {
  contentSize = 0;
  readonly captured = new Set<Digest>();
  readonly #builder: LayerTreeBuilder;
  readonly #capture: ReadLayerOptions['capture'];
  #path: TreePath | undefined;
  #size = 0;
  #hash: ReturnType<typeof createHash> | undefined;
  #digest: Digest = EMPTY_DIGEST;
  #writer: BlobWriter | undefined;

  constructor(builder: LayerTreeBuilder, capture: ReadLayerOptions['capture']) {
    this.#builder = builder;
    this.#capture = capture;
  }

  start(header: TarHeader): Promise<void> | undefined {
    this.#path = this.#builder.add(header);
    this.#size = header.size;
    this.#hash = undefined;
    this.#digest = EMPTY_DIGEST;
    this.#writer = undefined;
    if (this.#path === undefined) return undefined;
    this.contentSize += header.size;
    return this.#capture?.wanted(this.#path, header.size) === true ? this.#open(this.#capture.store) : undefined;
  }

  data(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#path === undefined) return undefined;
    if (bytes.length === this.#size) {
      // The usual small file, in one piece.
      this.#digest = `sha256:${hash('sha256', bytes, 'hex')}`;
    } else {
      this.#hash ??= createHash('sha256');
      this.#hash.update(bytes);
    }
    return this.#writer?.write(bytes);
  }

  end(): Promise<void> | undefined {
    if (this.#path === undefined) return undefined;
    const digest: Digest = this.#hash === undefined ? this.#digest : `sha256:${this.#hash.digest('hex')}`;
    this.#builder.setDigest(this.#path, digest);
    return this.#writer === undefined ? undefined : this.#commit(this.#writer, digest);
  }

  async #open(store: Pick<Store, 'createFile'>): Promise<void> {
    this.#writer = await store.createFile();
  }

  async #commit(writer: BlobWriter, digest: Digest): Promise<void> {
    await writer.commit({ digest, size: this.#size });
    this.captured.add(digest);
  }
}
