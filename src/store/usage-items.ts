/** What people see of an {@link Inventory}. */
import {
  countNeeds,
  isInUse,
  rootObjects,
  splitKey,
  type Inventory,
  type Item,
  type ObjectKey,
} from './gc-inventory.ts';
import { cacheSize, planCollection } from './gc-plan.ts';
import type { StoreUsage, UsageItem, UsageTotal, UsageType } from './types.ts';

/** In this order an object counts for the first that needs it. */
const ORDER: readonly UsageType[] = ['image', 'base', 'step', 'cache-mount', 'context', 'files', 'unused', 'records'];

/** One for each item, in their order. */
export function usageItems(inventory: Inventory): ReadonlyMap<Item, UsageItem> {
  const { objects, items } = inventory;
  const counts = countNeeds(items);
  const roots = rootObjects(inventory);
  const sizeOf = (keys: readonly ObjectKey[]): number =>
    keys.reduce((sum, key) => sum + (objects.get(key)?.size ?? 0), 0);
  const added = new Set<ObjectKey>();
  const usage = new Map<Item, UsageItem>();
  for (const item of items) {
    const { type, id, description, needs, created, used, project } = item;
    let own = needs;
    if (type === 'step') {
      own = needs.filter((key) => !added.has(key));
      for (const key of own) added.add(key);
    }
    const alone = needs.filter((key) => counts.get(key) === 1 && objects.get(key)?.held !== true);
    usage.set(item, {
      type,
      id,
      description,
      size: sizeOf(own),
      reclaimable: sizeOf(alone),
      created,
      used,
      project,
      inUse: isInUse(item, inventory),
      shared: !item.isRoot && needs.every((key) => roots.has(key)),
    });
  }
  return usage;
}

/** @param other Bytes of what is no part of the inventory. */
export function storeUsage(inventory: Inventory, other: number, fileSystem: number): StoreUsage {
  const { objects, items, database } = inventory;
  const owner = new Map<ObjectKey, UsageType>();
  for (const type of ORDER) {
    for (const item of items) {
      if (item.type !== type) continue;
      for (const key of item.needs) if (!owner.has(key)) owner.set(key, type);
    }
  }
  const removable = new Set(planCollection(inventory, { includesShared: true }).objects);
  const types = Object.fromEntries(ORDER.map((type) => [type, { count: 0, size: 0, reclaimable: 0 }])) as Record<
    UsageType,
    { -readonly [Key in keyof UsageTotal]: number }
  >;
  const forms = { directories: 0, blobs: 0, trees: 0, files: 0, cacheMounts: 0, other: database + other };
  for (const { key, size } of objects.values()) {
    const type = owner.get(key) ?? 'unused';
    types[type].size += size;
    if (type === 'unused') types.unused.count++;
    if (removable.has(key)) types[type].reclaimable += size;
    forms[FORMS[splitKey(key)[0]] ?? 'other'] += size;
  }
  for (const { type } of items) types[type].count++;
  types.records.size = database;
  types.records.count = 1;
  const total = Object.values(forms).reduce((sum, size) => sum + size, 0);
  const reclaimable = Object.values(types).reduce((sum, type) => sum + type.reclaimable, 0);
  const cache = cacheSize(inventory, rootObjects(inventory));
  const usage = [...withFilesTogether(usageItems(inventory))];
  return { items: usage, types, forms, total, reclaimable, cache, fileSystem };
}

const FORMS: Readonly<Record<string, keyof StoreUsage['forms']>> = {
  dir: 'directories',
  blob: 'blobs',
  layer: 'trees',
  file: 'files',
  suspect: 'files',
  mount: 'cacheMounts',
};

/** Single files have no names that mean anything: they are one line. */
function* withFilesTogether(usage: ReadonlyMap<Item, UsageItem>): Generator<UsageItem, void> {
  let files: UsageItem | undefined;
  let count = 0;
  for (const item of usage.values()) {
    if (item.type !== 'files') {
      yield item;
      continue;
    }
    count++;
    files = {
      ...item,
      id: 'files',
      size: item.size + (files?.size ?? 0),
      reclaimable: item.reclaimable + (files?.reclaimable ?? 0),
      created: Math.min(item.created, files?.created ?? item.created),
      used: Math.max(item.used, files?.used ?? 0),
    };
  }
  if (files !== undefined) yield { ...files, description: `${count} files that were taken out of layers` };
}
