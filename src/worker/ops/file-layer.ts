/** The layer that a file op makes: a tree, known at once, whose bytes are still where they came from. */
import type { ContentLocation, Digest, Layer, LayerBlob, LayerId, Tree, TreePath } from '../../contracts/index.ts';
import type { Sources } from '../../source/index.ts';
import { fileBytes, TreeTable } from '../../store/index.ts';
import type { Store } from '../../store/index.ts';
import { locateOrigins, noFile } from './origins.ts';
import type { Origins } from './origins.ts';
import type { StagedLayer } from './staged-tree.ts';

/** What layers are kept with. */
export interface LayerDeps {
  readonly store: Store;
  readonly sources: Sources;
}

/** Puts the tree in the store; the layer's bytes are where its origins say until it has a directory. */
export async function saveFileLayer({ tree, origins }: StagedLayer, deps: LayerDeps): Promise<Layer> {
  const id = deps.store.newLayer();
  await deps.store.writeTree(id, tree);
  deps.store.saveLayer(id, { size: treeSize(tree) });
  return new FileLayer(id, TreeTable.of(tree), origins, deps);
}

/** Bytes of the tree's own regular files, each hard-linked file once. */
export function treeSize(tree: Tree): number {
  return fileBytes(TreeTable.of(tree));
}

/** The best blob of a row: one that is in the store. */
export function localBlob(store: Store, id: LayerId): LayerBlob | undefined {
  return store.layer(id)?.blobs.find((blob) => blob.local);
}

class FileLayer implements Layer {
  readonly id: LayerId;
  readonly #tree: TreeTable;
  readonly #origins: Origins;
  readonly #deps: LayerDeps;

  constructor(id: LayerId, tree: TreeTable, origins: Origins, deps: LayerDeps) {
    this.id = id;
    this.#tree = tree;
    this.#origins = origins;
    this.#deps = deps;
  }

  async tree(): Promise<Tree> {
    return this.#tree;
  }

  async digests(paths: readonly TreePath[]): Promise<readonly Digest[]> {
    return paths.map((path) => {
      const entry = this.#tree.get(path);
      if (entry?.type !== 'file' || entry.digest === undefined) throw noFile(path);
      return entry.digest;
    });
  }

  async locate(paths: Iterable<TreePath>): Promise<Iterable<ContentLocation>> {
    const { store, sources } = this.#deps;
    if (store.layer(this.id)?.hasDir === true) {
      const directory = store.layerDir(this.id);
      return Iterator.from(paths).map((path) => ({ kind: 'file', path: `${directory}/${path}` }));
    }
    // A packed layer is whole in its blob; the context it came from may have changed since.
    if (localBlob(store, this.id) !== undefined) return sources.storeLayer(this.id).locate(paths);
    return locateOrigins(paths, (path) => {
      const first = this.#tree.firstName(path);
      const origin = first === undefined ? undefined : this.#origins.get(first);
      if (origin === undefined) throw noFile(path);
      return origin;
    });
  }

  async blob(): Promise<LayerBlob | undefined> {
    return localBlob(this.#deps.store, this.id);
  }
}
