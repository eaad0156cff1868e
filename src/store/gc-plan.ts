/** Decides what a collection removes. Pure: from an {@link Inventory} to items and objects. */
import { countNeeds, isInUse, rootObjects, type Inventory, type Item, type ObjectKey } from './gc-inventory.ts';

export interface PlanOptions {
  /** Absent = every item, and what no item needs. */
  readonly matches?: ((item: Item) => boolean) | undefined;
  /** Only what was used before this, milliseconds since the epoch. */
  readonly usedBefore?: number | undefined;
  /** The cache may stay this large, bytes: what was not used for longest goes first, and no more than has to. */
  readonly keepBytes?: number | undefined;
  /** Also items whose objects an image needs too, so that nothing becomes free. */
  readonly includesShared: boolean;
}

export interface Plan {
  readonly items: readonly Item[];
  readonly objects: readonly ObjectKey[];
  /** Bytes of the objects. */
  readonly freed: number;
  /** Bytes of the cache afterwards: all objects that no image needs. */
  readonly cache: number;
}

/**
 * A second form of a layer costs a moment to make again, a step may cost minutes: forms go before steps that were used as
 * much as this earlier, milliseconds.
 */
const FORM_HANDICAP = 3 * 24 * 60 * 60 * 1000;

export function planCollection(inventory: Inventory, options: PlanOptions): Plan {
  const { objects, items } = inventory;
  const { matches, usedBefore = Number.POSITIVE_INFINITY, keepBytes, includesShared } = options;
  const roots = rootObjects(inventory);
  const counts = countNeeds(items);
  const removed = new Set<ObjectKey>();
  const removedItems: Item[] = [];
  let freed = 0;
  let cache = cacheSize(inventory, roots);

  function removeObject(key: ObjectKey): void {
    const object = objects.get(key);
    if (object === undefined || object.held || roots.has(key) || removed.has(key)) return;
    removed.add(key);
    freed += object.size;
    cache -= object.size;
  }

  function removeItem(item: Item): void {
    removedItems.push(item);
    for (const key of item.needs) {
      const left = (counts.get(key) ?? 1) - 1;
      counts.set(key, left);
      if (left === 0) removeObject(key);
    }
  }

  if (matches === undefined) {
    for (const item of items) if (item.isBroken === true) removeItem(item);
    for (const { key, used } of objects.values()) {
      if ((counts.get(key) ?? 0) === 0 && used < usedBefore) removeObject(key);
    }
  }

  const isShared = ({ needs }: Item): boolean => needs.every((key) => roots.has(key));
  const candidates: Candidate[] = items
    .filter((item) => !item.isRoot && item.isBroken !== true && item.used < usedBefore)
    .filter((item) => (matches === undefined || matches(item)) && !isInUse(item, inventory))
    .filter((item) => includesShared || !isShared(item))
    .map((item) => ({ order: item.used, created: item.created, remove: () => removeItem(item) }));
  if (keepBytes !== undefined && matches === undefined) {
    for (const { key, used, isSpare } of objects.values()) {
      if (isSpare && used < usedBefore) {
        candidates.push({ order: used - FORM_HANDICAP, created: used, remove: () => removeObject(key) });
      }
    }
  }
  // What is on top of something was made after it, and goes before it.
  candidates.sort((a, b) => a.order - b.order || b.created - a.created);
  for (const { remove } of candidates) {
    if (keepBytes !== undefined && cache <= keepBytes) break;
    remove();
  }
  return { items: removedItems, objects: [...removed], freed, cache };
}

interface Candidate {
  /** The least goes first. */
  readonly order: number;
  readonly created: number;
  readonly remove: () => void;
}

/** Bytes of all that no image needs. */
export function cacheSize({ objects }: Inventory, roots: ReadonlySet<ObjectKey>): number {
  let size = 0;
  for (const object of objects.values()) if (!roots.has(object.key)) size += object.size;
  return size;
}
