/** The part of the store that says what takes room and makes room. Loaded when it is asked for: a cached build needs none. */
import type { Database } from './database.ts';
import type { Item } from './gc-inventory.ts';
import type { StoreLayout } from './layout.ts';
import type { Lease } from './lease.ts';
import type { PruneReport, PruneRequest, Store, UsageItem } from './types.ts';

export interface CollectionDeps {
  readonly layout: StoreLayout;
  readonly db: Database;
  readonly ownLease: () => Lease;
  readonly lock: Store['lock'];
  /** Whether this process wrote anything that takes room. */
  readonly hasWritten: () => boolean;
}

/** One collection at a time. */
const LOCK = 'collection';
const DOING = 'which removes what is not needed';
/** How long a collection waits for processes that only look, milliseconds: one that nobody asked for gives up sooner. */
const PATIENCE = 10_000;
const PATIENCE_AUTOMATIC = 200;
/** What a build spends on removing files at its end, milliseconds. */
const REMOVAL_TIME = 1000;
/** A collection that nobody asked for makes room for the next builds too: parts of the bound. */
const LOW_MARK = 0.9;

export function createCollection(deps: CollectionDeps): Pick<Store, 'usage' | 'prune' | 'keepWithin' | 'verify'> {
  const { layout, db, ownLease, lock, hasWritten } = deps;
  return {
    async usage() {
      const [disk, { readInventory }, { storeUsage }, { readLeases }] = await Promise.all([
        readDisk(deps),
        import('./usage-inventory.ts'),
        import('./usage-items.ts'),
        import('./lease.ts'),
      ]);
      const { fileSystemOf } = await import('../sys/statfs.ts');
      const inventory = readInventory(layout, db, disk, readLeases(layout.root));
      return storeUsage(inventory, disk.other, fileSystemOf(layout.root).total);
    },

    async prune(request) {
      return request.dryRun === true ? await dryRun(request, deps) : await prune(request, deps);
    },

    async keepWithin(boundOf) {
      if (!hasWritten()) return;
      try {
        const { roomOver } = await import('./gc-bound.ts');
        const bound = roomOver(layout, db, boundOf);
        if (bound === undefined) return;
        const { collect } = await import('./gc-collect.ts');
        const { cacheSize } = await import('./gc-plan.ts');
        const { noteRoots } = await import('./gc-bound.ts');
        const { rootObjects } = await import('./gc-inventory.ts');
        const held = await lock(LOCK, { signal: AbortSignal.abort(), doing: DOING });
        try {
          const plan = { keepBytes: bound * LOW_MARK, includesShared: false };
          const options = { forgetsFacts: false, patience: PATIENCE_AUTOMATIC, removalTime: REMOVAL_TIME };
          await collect({ layout, db, lease: ownLease() }, await readDisk(deps), {
            ...options,
            plan(inventory) {
              const roots = rootObjects(inventory);
              noteRoots(db, inventory, roots);
              return cacheSize(inventory, roots) <= bound ? { ...plan, keepBytes: bound } : plan;
            },
          });
        } finally {
          held.release();
        }
      } catch {
        // Another process collects, or looks: the next build comes here too.
      }
    },

    async verify(deep) {
      const { verifyStore } = await import('./gc-verify.ts');
      return await verifyStore(layout, db, deep);
    },
  };
}

async function readDisk({ layout, db }: CollectionDeps) {
  const { readDisk: read } = await import('./usage-disk.ts');
  return read(layout, db);
}

async function prune(request: PruneRequest, deps: CollectionDeps): Promise<PruneReport> {
  const { layout, db, ownLease, lock } = deps;
  const { collect } = await import('./gc-collect.ts');
  const { collectDead } = await import('./collect.ts');
  const held = await lock(LOCK, { doing: DOING, ...(request.signal !== undefined && { signal: request.signal }) });
  try {
    const lease = ownLease();
    for (const steps = collectDead(layout, db); steps.next().done !== true;);
    const disk = await readDisk(deps);
    let seen: ReadonlyMap<Item, UsageItem> = new Map();
    const { usageItems } = await import('./usage-items.ts');
    const keepBytes = await keptBytes(request, layout);
    const done = await collect({ layout, db, lease }, disk, {
      forgetsFacts: request.all === true && request.matches === undefined,
      patience: PATIENCE,
      signal: request.signal,
      plan(inventory) {
        seen = usageItems(inventory);
        return planOptions(request, keepBytes, seen);
      },
    });
    const { inventory, plan, items, objects } = done;
    const freed = objects.reduce((sum, key) => sum + (inventory.objects.get(key)?.size ?? 0), 0);
    return { removed: removedItems(items, seen), freed, cache: plan.cache + plan.freed - freed };
  } finally {
    held.release();
  }
}

async function dryRun(request: PruneRequest, deps: CollectionDeps): Promise<PruneReport> {
  const { layout, db } = deps;
  const { readInventory } = await import('./usage-inventory.ts');
  const { usageItems } = await import('./usage-items.ts');
  const { planCollection } = await import('./gc-plan.ts');
  const { readLeases } = await import('./lease.ts');
  const inventory = readInventory(layout, db, await readDisk(deps), readLeases(layout.root));
  const seen = usageItems(inventory);
  const plan = planCollection(inventory, planOptions(request, await keptBytes(request, layout), seen));
  return { removed: removedItems(plan.items, seen), freed: plan.freed, cache: plan.cache };
}

async function keptBytes({ keepStorage }: PruneRequest, layout: StoreLayout): Promise<number | undefined> {
  if (keepStorage === undefined) return undefined;
  const { fileSystemOf } = await import('../sys/statfs.ts');
  return keepStorage(fileSystemOf(layout.root).total);
}

function planOptions(
  { matches, unusedSince, all }: PruneRequest,
  keepBytes: number | undefined,
  seen: ReadonlyMap<Item, UsageItem>,
) {
  return {
    matches:
      matches === undefined
        ? undefined
        : (item: Item): boolean => {
            const usage = seen.get(item);
            return usage !== undefined && matches(usage);
          },
    usedBefore: unusedSince,
    keepBytes,
    includesShared: all === true,
  };
}

function removedItems(items: readonly Item[], seen: ReadonlyMap<Item, UsageItem>): readonly UsageItem[] {
  return items.flatMap((item) => seen.get(item) ?? []);
}
