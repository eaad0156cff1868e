/**
 * A collection: mark from the roots (images, and what running processes hold), sweep what is not kept.
 *
 *     1. decide and condemn   one transaction: nothing is saved meanwhile
 *     2. wait                 until nobody sees the database as it was before (`holds.ts`)
 *     3. remove               batches in transactions of their own, without what is held, rescued or needed by now
 *
 * Killed at any moment, it leaves rows that are condemned, which the next collection goes on with, and files in the
 * directory of its lease, which goes when somebody finds the lease dead.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { BuildError, type Digest, type LayerId } from '../contracts/index.ts';
import { removeTreeSteps } from '../sys/remove.ts';
import { TRASH } from './collect.ts';
import { CONTEXT_ID_LENGTH } from './contexts.ts';
import type { Database } from './database.ts';
import { splitKey, type Inventory, type Item, type ObjectKey } from './gc-inventory.ts';
import { planCollection, type Plan, type PlanOptions } from './gc-plan.ts';
import { removeObject } from './gc-remove.ts';
import { HELD } from './holds.ts';
import type { StoreLayout } from './layout.ts';
import { readLeases, type HeldLines, type Lease } from './lease.ts';
import { decodeOutputs } from './record-outputs.ts';
import { names, type DiskFacts } from './usage-disk.ts';
import { createImageNeeds } from './usage-images.ts';
import { readInventory } from './usage-inventory.ts';

export interface CollectContext {
  readonly layout: StoreLayout;
  readonly db: Database;
  /** Of this process; what is being removed lies in its directory. */
  readonly lease: Lease;
}

export interface CollectOptions {
  readonly plan: (inventory: Inventory) => PlanOptions;
  /** Forget all facts, too. */
  readonly forgetsFacts: boolean;
  /** How long to wait for processes that only look, milliseconds. */
  readonly patience: number;
  /** How long to remove what was taken out; the rest is left to later processes. Milliseconds; absent = to the end. */
  readonly removalTime?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Collected {
  readonly inventory: Inventory;
  readonly plan: Plan;
  /** What is gone: of the plan, without what turned out to be in use. */
  readonly items: readonly Item[];
  readonly objects: readonly ObjectKey[];
}

/** Objects in a transaction: some milliseconds, in which nobody else can write. */
const BATCH = 100;
const PAUSE = 5;
/** What was found out and not needed for so long, milliseconds, is forgotten. */
const FACTS_KEPT = 60 * 24 * 60 * 60 * 1000;

let collections = 0;

/**
 * One at a time for a state directory: the caller has the lock.
 * Errors: `store` when somebody looks at the database for longer than `patience`; nothing is removed then.
 */
export async function collect(context: CollectContext, disk: DiskFacts, options: CollectOptions): Promise<Collected> {
  const { layout, db, lease } = context;
  const decision = decide(context, disk, options);
  await untilNobodySees(db, decision.fresh, options);
  const trash = `${lease.directory}/collected-${collections++}`;
  mkdirSync(trash, { mode: 0o700 });
  const done = remove(decision, trash, context);
  forget(context, options);
  await emptyTrash(trash, layout, options);
  return { inventory: decision.inventory, plan: decision.plan, ...done };
}

interface Decision {
  readonly inventory: Inventory;
  readonly plan: Plan;
  /** With what an earlier collection did not get to. */
  readonly objects: readonly ObjectKey[];
  /** Without that. */
  readonly fresh: readonly ObjectKey[];
  /** Records from here on were not seen, milliseconds since the epoch. */
  readonly began: number;
  /** Images that were seen. */
  readonly images: ReadonlySet<string>;
}

function decide({ layout, db }: CollectContext, disk: DiskFacts, options: CollectOptions): Decision {
  return db.transaction(() => {
    const began = Date.now();
    const inventory = readInventory(layout, db, disk, readLeases(layout.root));
    const plan = planCollection(inventory, options.plan(inventory));
    const images = new Set(imagesOf(db).map(({ name }) => name));
    const needed = new Set(inventory.items.filter(({ isRoot }) => isRoot).flatMap(({ needs }) => needs));
    const objects = new Set(plan.objects);
    const carried = new Set<ObjectKey>();
    for (const row of db.all('SELECT kind, id FROM condemned')) {
      if (row['kind'] === 'files') continue;
      const key = `${String(row['kind'])}/${String(row['id'])}` as ObjectKey;
      if (needed.has(key)) acquit(db, key);
      else carried.add(key);
    }
    const fresh = [...objects].filter((key) => !carried.has(key));
    for (const key of fresh) {
      const [kind, id] = condemnedAs(key);
      if (kind !== undefined) db.get(CONDEMN, kind, id);
    }
    return { inventory, plan, objects: [...new Set([...objects, ...carried])], fresh, began, images };
  });
}

const CONDEMN = 'INSERT OR IGNORE INTO condemned (kind, id) VALUES (?, ?) RETURNING kind';

/** Cache mounts have locks of their own; a stat cache is read at once. Single files are held as a whole. */
function condemnedAs(key: ObjectKey): readonly [kind: string | undefined, id: string] {
  const [kind, id] = splitKey(key);
  if (kind === 'mount' || kind === 'context') return [undefined, ''];
  return kind === 'file' || kind === 'suspect' ? ['files', ''] : [kind, id];
}

function isCondemned(db: Database, key: ObjectKey): boolean {
  const [kind, id] = condemnedAs(key);
  return kind === undefined || db.get('SELECT 1 FROM condemned WHERE kind = ? AND id = ?', kind, id) !== undefined;
}

function acquit(db: Database, key: ObjectKey): void {
  const [kind, id] = condemnedAs(key);
  if (kind !== undefined) db.get('DELETE FROM condemned WHERE kind = ? AND id = ? RETURNING kind', kind, id);
}

/** What names mean; one that was only pulled is no root. */
function imagesOf(db: Database): readonly { readonly name: string; readonly digest: Digest }[] {
  return db.all('SELECT DISTINCT origin, digest FROM image').map(({ origin, digest }) => {
    return { name: `${String(origin)} ${String(digest)}`, digest: String(digest) as Digest };
  });
}

async function untilNobodySees(
  db: Database,
  fresh: readonly ObjectKey[],
  { patience, signal }: CollectOptions,
): Promise<void> {
  const passed = db.viewsPassed();
  const end = Date.now() + patience;
  while (!passed()) {
    if (signal?.aborted !== true && Date.now() < end) {
      await sleep(PAUSE);
      continue;
    }
    db.transaction(() => {
      for (const key of fresh) acquit(db, key);
    });
    throw signal?.aborted === true
      ? new BuildError({ code: 'cancelled', message: 'the collection was cancelled', cause: signal.reason })
      : new BuildError({
          code: 'store',
          message: 'another process has looked at the state directory all the time; nothing was removed',
          hint: 'is a slipway process stopped (Ctrl-Z)? End it, then try again',
        });
  }
}

function remove(
  { plan, objects, began, images }: Decision,
  trash: string,
  { layout, db }: CollectContext,
): Pick<Collected, 'items' | 'objects'> {
  const held = readLeases(layout.root);
  const isSpared = createSparing(layout, db, held, { began, images });
  const inUse = new Set<ObjectKey>();
  const spare = (key: ObjectKey): void => {
    inUse.add(key);
    acquit(db, key);
  };

  const items = db.transaction(() => {
    isSpared.refresh();
    const isAlive = (key: ObjectKey): boolean => isSpared.object(key) || !isCondemned(db, key);
    const doomed = new Set(objects);
    const gone: Item[] = [];
    for (const item of plan.items) {
      if (!hasRow(item)) gone.push(item);
      else if (item.needs.some((key) => doomed.has(key) && isAlive(key))) {
        // Somebody uses it: a step is whole or not there.
        for (const key of item.needs) spare(key);
      } else {
        if (item.type === 'step') db.get('DELETE FROM record WHERE key = ? RETURNING key', item.id);
        if (item.type === 'base')
          db.get('DELETE FROM image WHERE name = ? AND digest = ? RETURNING name', item.id, item.description);
        gone.push(item);
      }
    }
    return gone;
  });

  const removed: ObjectKey[] = [];
  for (let from = 0; from < objects.length; from += BATCH) {
    db.transaction(() => {
      isSpared.refresh();
      for (const key of objects.slice(from, from + BATCH)) {
        if (inUse.has(key)) continue;
        if (isSpared.object(key)) spare(key);
        else if (isCondemned(db, key) && removeObject(key, trash, layout, db)) removed.push(key);
        if (condemnedAs(key)[0] !== 'files') acquit(db, key);
      }
    });
  }
  db.transaction(() => db.all(`DELETE FROM condemned WHERE kind = 'files' RETURNING kind`));
  const gone = new Set(removed);
  const isGone = (item: Item): boolean => hasRow(item) || item.needs.some((key) => gone.has(key));
  return { items: items.filter(isGone), objects: removed };
}

/** Other items are there as long as their only object is. */
function hasRow({ type }: Item): boolean {
  return type === 'step' || type === 'base';
}

/** Says of an object whether somebody relies on it who did not when it was condemned. */
function createSparing(
  layout: StoreLayout,
  db: Database,
  held: HeldLines,
  { began, images }: Pick<Decision, 'began' | 'images'>,
): { /** In a transaction. */ refresh(): void; object(key: ObjectKey): boolean } {
  const needsOf = createImageNeeds(layout, db);
  const needed = new Set<ObjectKey>();
  const layers = new Set<LayerId>();

  const isLayerHeld = (id: LayerId): boolean =>
    layers.has(id) || held.lines.has(HELD.layer(id)) || held.blocks.has(id.slice(0, -3));

  return {
    refresh() {
      for (const { name, digest } of imagesOf(db)) {
        if (!images.has(name)) for (const key of needsOf(digest)) needed.add(key);
      }
      for (const row of db.all('SELECT outputs FROM record WHERE used >= ?', began)) {
        for (const id of decodeOutputs(row['outputs']).flat()) layers.add(id);
      }
    },
    object(key) {
      if (needed.has(key)) return true;
      const [kind, id] = splitKey(key);
      if (kind === 'layer' || kind === 'dir') return isLayerHeld(id);
      if (kind === 'file' || kind === 'suspect') return held.lines.has(HELD.files);
      if (kind !== 'blob') return false;
      if (held.lines.has(HELD.blob(id as Digest))) return true;
      return db
        .all('SELECT layer FROM layer_blob WHERE digest = ?', id)
        .some((row) => isLayerHeld(String(row['layer'])));
    },
  };
}

const FORGET: readonly string[] = [
  'DELETE FROM alias WHERE key NOT IN (SELECT key FROM record)',
  'DELETE FROM blob_repository WHERE digest NOT IN (SELECT digest FROM layer_blob)',
];

/** What only led to what is gone. A fact about a layer or blob that is still there may be needed, however old. */
function forget({ layout, db }: CollectContext, { forgetsFacts }: CollectOptions): void {
  const exists = (name: string): boolean =>
    db.get('SELECT 1 FROM layer WHERE id = ?1 UNION ALL SELECT 1 FROM blob WHERE digest = ?1', name) !== undefined;
  const before = forgetsFacts ? Number.MAX_SAFE_INTEGER : Date.now() - FACTS_KEPT;
  for (const row of db.all('SELECT key FROM fact WHERE used < ?', before)) {
    const key = String(row['key']);
    const named = key.match(/sha256:[0-9a-f]{64}|[0-9a-z]+/g) ?? [];
    if (!named.some(exists)) db.write('DELETE FROM fact WHERE key = :key', { key });
  }
  const statCaches = new Set(names(layout.statCaches).map((name) => name.slice(0, CONTEXT_ID_LENGTH)));
  for (const row of db.all(
    'SELECT id FROM context WHERE id NOT IN (SELECT project FROM record WHERE project NOT NULL)',
  )) {
    const id = String(row['id']);
    if (!statCaches.has(id)) db.write('DELETE FROM context WHERE id = :id', { id });
  }
  for (const statement of FORGET) db.write(statement, {});
  db.flush();
}

/** In steps, so that a process with other work goes on with it. */
async function emptyTrash(trash: string, layout: StoreLayout, { removalTime, signal }: CollectOptions): Promise<void> {
  const end = removalTime === undefined ? Number.POSITIVE_INFINITY : Date.now() + removalTime;
  const steps = removeTreeSteps(trash);
  while (steps.next().done !== true) {
    if (Date.now() < end && signal?.aborted !== true) await nextTurn();
    else {
      steps.return();
      // The lease's end would remove the rest, and take its time.
      renameSync(trash, `${layout.temp}/${TRASH}${process.pid}-${Date.now()}`);
      return;
    }
  }
}
