/**
 * What a state directory holds, as a graph of two kinds of things: *objects* lie on the disk and take room, *items* are what
 * people know (an image, a step, a cache mount) and need objects. An object that no item needs is garbage.
 */
import type { UsageType } from './types.ts';

/**
 * `layer/<id>`: row, tree and what else is small; `dir/<id>`: its directory; `blob/<digest>`; `mount/<hash>/<slot>`;
 * `context/<hash>`: a stat cache; `file/<hex>`, `suspect/<hex>`: single files, `lost/<name>`: those of two boots ago.
 */
export type ObjectKey = `${'layer' | 'dir' | 'blob' | 'mount' | 'context' | 'file' | 'suspect'}/${string}`;

export interface StoreObject {
  readonly key: ObjectKey;
  /** Bytes on the disk; estimated for directories of layers. */
  readonly size: number;
  /** Last access, milliseconds since the epoch. */
  readonly used: number;
  /** A running process relies on it. */
  readonly held: boolean;
  /** It can be had again from another form of the same layer: it may go although an item needs it. */
  readonly isSpare: boolean;
}

export interface Item {
  readonly type: UsageType;
  /** Name of an image, key of a record, ... */
  readonly id: string;
  readonly description: string;
  readonly needs: readonly ObjectKey[];
  readonly created: number;
  /** Last access; of a record, the latest of those that were made on top of it. */
  readonly used: number;
  /** Context id. */
  readonly project: string | undefined;
  /** It is never removed by a collection: an image that somebody named. */
  readonly isRoot: boolean;
  /** A part of it is gone, so that nobody can use it. */
  readonly isBroken?: boolean;
}

export interface Inventory {
  readonly objects: ReadonlyMap<ObjectKey, StoreObject>;
  readonly items: readonly Item[];
  /** What is on top of what is kept: facts, build records. Not part of any item. */
  readonly database: number;
}

/** Kind and name of an object. */
export function splitKey(key: ObjectKey): readonly [kind: string, name: string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}

/** How many of `items` need each object. */
export function countNeeds(items: Iterable<Item>): Map<ObjectKey, number> {
  const counts = new Map<ObjectKey, number>();
  for (const { needs } of items) for (const key of needs) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** Objects that images need, whatever else needs them. */
export function rootObjects({ items }: Inventory): ReadonlySet<ObjectKey> {
  return new Set(items.filter(({ isRoot }) => isRoot).flatMap(({ needs }) => needs));
}

/** A step is in use when a running process holds all that it needs; so is anything else. */
export function isInUse({ needs, isRoot }: Item, { objects }: Inventory): boolean {
  return !isRoot && needs.length > 0 && needs.every((key) => objects.get(key)?.held !== false);
}
