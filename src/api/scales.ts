/** What stacks of layers weigh: bytes of the regular files that they show. */
import { hash } from 'node:crypto';
import type { FileTree, Layer, LayerId, Snapshot } from '../contracts/index.ts';
import { snapshotOf } from '../image/index.ts';
import type { LayerRow, Store } from '../store/index.ts';

export interface Weight {
  readonly bytes: number;
  /** Compressed sizes stand in for layers whose tree nobody has read. */
  readonly estimated: boolean;
}

/** Looks at each layer's row once, and weighs each stack once: that of a stage is mostly that of another and one more. */
export class Scales {
  readonly #store: Store;
  readonly #rows = new Map<LayerId, LayerRow | undefined>();

  constructor(store: Store) {
    this.#store = store;
  }

  row(id: LayerId): LayerRow | undefined {
    if (!this.#rows.has(id)) this.#rows.set(id, this.#store.layer(id));
    return this.#rows.get(id);
  }

  /** Bytes of a flattened snapshot. */
  async weigh(snapshot: Snapshot): Promise<Weight> {
    const { layers } = snapshot;
    const key = factKey(layers);
    const known = this.#store.readFact(key);
    if (known !== undefined) return { bytes: Number(known), estimated: false };
    if (layers.every(({ id }) => this.row(id)?.hasTree === true)) {
      const bytes = (await this.#stackedBytes(snapshot)) ?? (await treeBytes(snapshot.files));
      this.#store.writeFact(key, String(bytes));
      return { bytes, estimated: false };
    }
    const bytes = layers.reduce((sum, { id }) => sum + rowBytes(this.row(id)), 0);
    return { bytes, estimated: true };
  }

  /**
   * What the layers below weigh and what the top one adds, when it only adds: no view of all files need be made. Undefined
   * when it covers or removes something.
   */
  async #stackedBytes({ layers }: Snapshot): Promise<number | undefined> {
    const top = layers.at(-1);
    const size = top === undefined ? undefined : this.row(top.id)?.size;
    if (top === undefined || size === undefined) return undefined;
    const below = snapshotOf(layers.slice(0, -1));
    let added: string | undefined;
    const tree = await top.tree();
    for (const [path, entry] of tree) {
      // A link to another layer's file brings bytes that are not the layer's own.
      if (entry.type === 'file' && entry.hardlink !== undefined && !tree.has(entry.hardlink)) return undefined;
      if (added !== undefined && path.startsWith(added)) continue;
      if (entry.type === 'whiteout') return undefined;
      const existing = path === '' || below.layers.length === 0 ? undefined : await below.files.lookup(path);
      if (existing === undefined) {
        if (entry.type === 'directory' && path !== '') added = `${path}/`;
      } else if (existing.type !== 'directory' || entry.type !== 'directory' || entry.opaque === true) return undefined;
    }
    return size + (below.layers.length === 0 ? 0 : (await this.weigh(below)).bytes);
  }
}

/** Names the top layer, so that the fact is kept as long as that, and by digest all of them. */
function factKey(layers: readonly Layer[]): string {
  return `weight:${layers.at(-1)?.id ?? ''}:${hash('sha256', layers.map(({ id }) => id).join(','), 'hex')}`;
}

/** What is known of a layer's bytes without its tree. */
export function rowBytes(row: LayerRow | undefined): number {
  return row?.size ?? row?.blobs[0]?.size ?? 0;
}

export async function treeBytes(files: FileTree): Promise<number> {
  let bytes = 0;
  for (const [, entry] of await files.walk('')) {
    if (entry.type === 'file' && entry.hardlink === undefined) bytes += entry.size;
  }
  return bytes;
}
