import { BuildError } from '../contracts/index.ts';
import type {
  ContentLocation,
  Digest,
  FileEntry,
  Layer,
  LayerBlob,
  LayerId,
  Tree,
  TreePath,
} from '../contracts/index.ts';
import { isForeignLayer } from '../image/index.ts';
import type { LayerRow } from '../store/index.ts';
import { extractFiles, ingestBlob, isTrusted, rowOf } from './layer-blob.ts';
import type { BlobDeps, BlobRow } from './layer-blob.ts';
import { HASH_BYTES } from './local/hash-files.ts';
import type { FileHasher } from './local/hash-files.ts';

export interface LayerDeps extends BlobDeps {
  readonly hasher: FileHasher;
  /** A layer's blob could not be had, or was not what it should be. */
  readonly failed: (id: LayerId) => void;
  /** A foreign layer is not in the registry: its files are taken not to be there. */
  readonly skipped: (id: LayerId, digest: Digest) => void;
}

const NO_FILES: Tree = new Map();
const NO_BYTES: ContentLocation = { kind: 'bytes', data: new Uint8Array(0) };

/**
 * A layer over a row of the store. Its forms come one from the other when they are asked for: the tree from the blob, the
 * blob from its repositories, a file's bytes from the directory or else from the blob.
 */
export function createStoreLayer(id: LayerId, deps: LayerDeps): Layer {
  const { store } = deps;
  let tree: Promise<Tree> | undefined;
  let blob: Promise<BlobRow | undefined> | undefined;
  let extraction: Extraction | undefined;

  const row = (): LayerRow => rowOf(id, deps);

  const ingest = async (): Promise<BlobRow> => {
    try {
      return await deps.track(ingestBlob(id, deps));
    } catch (error) {
      deps.failed(id);
      throw error;
    }
  };

  async function readTree(): Promise<Tree> {
    if (row().hasTree) return store.readTree(id);
    try {
      await ingest();
    } catch (error) {
      const foreign = row().blobs.find(isForeignLayer);
      if (foreign === undefined || !(error instanceof BuildError) || error.code !== 'image-not-found') throw error;
      // What only looks at files goes on without those; whoever needs the layer itself asks for its blob, and fails.
      deps.skipped(id, foreign.digest);
      return NO_FILES;
    }
    return store.readTree(id);
  }

  /** Undefined when it was never packed. What is not local or not trusted yet is read to its end, tree and all. */
  async function readBlob(): Promise<BlobRow | undefined> {
    const { blobs } = row();
    const ready = blobs.find((candidate) => isTrusted(candidate, deps));
    return ready ?? (blobs.length === 0 ? undefined : ingest());
  }

  const trustedBlob = (): Promise<BlobRow | undefined> => (blob ??= forgetful(readBlob(), () => (blob = undefined)));

  const layer: Layer = {
    id,
    // A failure is not remembered: the next to ask may have more luck with the network.
    tree: () => (tree ??= forgetful(readTree(), () => (tree = undefined))),
    blob: async (): Promise<LayerBlob | undefined> => {
      const found = await trustedBlob();
      // Never packed today may be packed tomorrow.
      if (found === undefined) blob = undefined;
      return found;
    },

    async digests(paths) {
      const entries = [...filesOf(await layer.tree(), paths, id)];
      const missing = entries.filter(([, entry]) => entry.digest === undefined).map(([path]) => path);
      const hashed = missing.length === 0 ? new Map<TreePath, Digest>() : await hashOnDemand(missing);
      return entries.map(([path, entry]) => {
        const digest = entry.digest ?? hashed.get(path);
        if (digest === undefined) throw gone(id, path);
        return digest;
      });
    },

    async locate(paths) {
      const { hasDir } = row();
      const own = await layer.tree();
      const absent: TreePath[] = [];
      for (const [path, { size, digest }] of filesOf(own, paths, id)) {
        const isThere = hasDir || size === 0 || (digest !== undefined && store.hasFile(digest));
        if (!isThere) absent.push(path);
      }
      if (absent.length > 0) await extract(absent);
      const directory = store.layerDir(id);
      return filesOf(own, paths, id).map(([path, { size, digest }]): ContentLocation => {
        if (hasDir) return { kind: 'file', path: `${directory}/${path}` };
        if (size === 0) return NO_BYTES;
        if (digest === undefined) throw gone(id, path);
        return { kind: 'file', path: store.filePath(digest) };
      });
    },
  };
  return layer;

  /** Asks that come while the blob is being read are answered together by the next reading. */
  async function extract(paths: readonly TreePath[]): Promise<void> {
    if (extraction === undefined || extraction.begun) {
      const before = extraction?.done.catch(() => undefined);
      const next: Extraction = { wanted: new Set(), begun: false, done: Promise.resolve() };
      next.done = (before ?? Promise.resolve()).then(async () => {
        next.begun = true;
        const from = await trustedBlob();
        if (from === undefined) throw gone(id, [...next.wanted][0] ?? '');
        await deps.track(extractFiles(id, from, await layer.tree(), next.wanted, deps));
      });
      extraction = next;
    }
    for (const path of paths) extraction.wanted.add(path);
    await extraction.done;
  }

  /** Trees that were made of a directory have no digests until somebody needs them. */
  async function hashOnDemand(paths: readonly TreePath[]): Promise<ReadonlyMap<TreePath, Digest>> {
    const current = await layer.tree();
    const known = store.readDigests(id, paths);
    const found = new Map<TreePath, Digest>();
    const files: { path: TreePath; file: { path: string; size: number } }[] = [];
    for (const [i, path] of paths.entries()) {
      const digest = known[i];
      const entry = current.get(path);
      if (digest !== undefined) found.set(path, digest);
      else if (entry?.type === 'file') {
        if (!row().hasDir) throw gone(id, path);
        files.push({ path, file: { path: `${store.layerDir(id)}/${path}`, size: entry.size } });
      }
    }
    if (files.length > 0) {
      const hashes = await deps.hasher.hash(
        files.map(({ file }) => file),
        deps.signal,
      );
      const fresh = new Map<TreePath, Digest>();
      for (const [i, { path }] of files.entries()) {
        const hash = hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
        fresh.set(path, `sha256:${Buffer.from(hash).toString('hex')}`);
      }
      store.writeDigests(id, fresh);
      for (const [path, digest] of fresh) found.set(path, digest);
    }
    return found;
  }
}

interface Extraction {
  readonly wanted: Set<TreePath>;
  begun: boolean;
  done: Promise<void>;
}

/** Each path with the entry that has its bytes: a hard link's is that of its first name. */
function* filesOf(tree: Tree, paths: Iterable<TreePath>, id: LayerId): Generator<readonly [TreePath, FileEntry]> {
  for (const path of paths) {
    const entry = tree.get(path);
    const first = entry?.type === 'file' ? (entry.hardlink ?? path) : path;
    const file = first === path ? entry : tree.get(first);
    if (file?.type !== 'file') {
      throw new BuildError({ code: 'source-missing', message: `${path} is not a regular file of layer ${id}` });
    }
    yield [first, file];
  }
}

function gone(id: LayerId, path: TreePath): BuildError {
  return new BuildError({
    code: 'store',
    message: `the bytes of ${path} in layer ${id} are not in the store any more`,
    hint: 'build again with --no-cache',
  });
}

async function forgetful<T>(promise: Promise<T>, forget: () => void): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    forget();
    throw error;
  }
}
