/**
 * Layers of our own, in distinction from those that came with a base image: made by a step here, or by one on another
 * machine whose cache brought them. Their times are ours to tell and to bound; a base's are what they are.
 */
import { statSync } from 'node:fs';
import type { LayerId } from '../contracts/index.ts';
import { storeLayout } from '../store/index.ts';
import type { LayerRow, Store } from '../store/index.ts';

/** Whether the layer came with a base image. */
export function isBaseLayer(row: LayerRow, store: Store): boolean {
  return row.blobs.some(({ compressor }) => compressor === undefined) && noted(row.id, store) === undefined;
}

/**
 * When a layer of ours was made: the same at every export, so that a build that was cached whole gives the same image.
 * The first to ask notes it. Milliseconds.
 */
export function layerTime(id: LayerId, store: Store): number {
  const known = noted(id, store);
  if (known !== undefined) return known;
  const created = treeTime(id, store) ?? Date.now();
  noteOwnLayer(id, created, store);
  return created;
}

/** A layer that a cache brought was made then. */
export function noteOwnLayer(id: LayerId, created: number, store: Store): void {
  store.writeFact(fact(id), String(created));
}

function noted(id: LayerId, store: Store): number | undefined {
  const text = store.readFact(fact(id));
  return text === undefined ? undefined : Number(text);
}

function fact(id: LayerId): string {
  return `export/created ${id}`;
}

function treeTime(id: LayerId, store: Store): number | undefined {
  try {
    return Math.floor(statSync(storeLayout(store.root).treePath(id)).mtimeMs);
  } catch {
    return undefined;
  }
}
