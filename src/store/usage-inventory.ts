/** Makes the {@link Inventory} of the rows of the database and of what was found on the disk. */
import type { Digest, LayerId } from '../contracts/index.ts';
import { CONTEXT_ID_LENGTH } from './contexts.ts';
import type { Database, Row } from './database.ts';
import { rootObjects, type Inventory, type Item, type ObjectKey, type StoreObject } from './gc-inventory.ts';
import { HELD } from './holds.ts';
import type { StoreLayout } from './layout.ts';
import type { HeldLines } from './lease.ts';
import { decodeOutputs } from './record-outputs.ts';
import type { DiskFacts } from './usage-disk.ts';
import { createImageNeeds } from './usage-images.ts';

/**
 * One reading of all tables. What it says of a store that others write at the same time is certain only inside a
 * transaction.
 */
export function readInventory(layout: StoreLayout, db: Database, disk: DiskFacts, held: HeldLines): Inventory {
  const layers = readLayers(db, disk, held);
  const items = [...imageItems(layout, db, layers), ...stepItems(db, layers)];
  const objects = new Map<ObjectKey, StoreObject>();
  const roots = rootObjects({ objects, items, database: 0 });
  addLayers(objects, layers, roots);
  addBlobs(objects, db, disk, layers, held, roots);
  addOthers(objects, items, db, disk, held);
  return { objects, items, database: disk.database };
}

interface LayerFacts {
  readonly id: LayerId;
  readonly used: number;
  readonly held: boolean;
  /** Bytes of tree and directory. */
  readonly rest: number;
  readonly dir: number | undefined;
  /** Local ones. */
  readonly blobs: readonly { readonly digest: Digest; readonly isReproducible: boolean }[];
}

function readLayers(db: Database, disk: DiskFacts, held: HeldLines): ReadonlyMap<LayerId, LayerFacts> {
  const remote = new Set(db.all('SELECT DISTINCT digest FROM blob_repository').map((row) => String(row['digest'])));
  const blobs = new Map<LayerId, LayerFacts['blobs'][number][]>();
  for (const row of db.all('SELECT layer, digest, compressor FROM layer_blob')) {
    const digest = String(row['digest']) as Digest;
    if (!disk.blobs.has(digest.slice(7))) continue;
    const of = blobs.get(String(row['layer'])) ?? [];
    of.push({ digest, isReproducible: row['compressor'] !== null || remote.has(digest) });
    blobs.set(String(row['layer']), of);
  }
  const isHeld = (id: LayerId): boolean => held.lines.has(HELD.layer(id)) || held.blocks.has(id.slice(0, -3));
  const layers = new Map<LayerId, LayerFacts>();
  for (const row of db.all('SELECT id, dir, disk, size, used FROM layer')) {
    const id = String(row['id']);
    layers.set(id, {
      id,
      used: Number(row['used']),
      held: isHeld(id),
      rest: disk.layers.get(id) ?? 0,
      dir: row['dir'] === 1 ? (disk.directories.get(id) ?? Number(row['disk'] ?? row['size'] ?? 0)) : undefined,
      blobs: blobs.get(id) ?? [],
    });
  }
  // Directories without a row: what is left of a crash.
  for (const [id, rest] of disk.layers) {
    if (!layers.has(id) && /^[0-9a-z]{4,16}$/.test(id)) {
      layers.set(id, { id, used: 0, held: isHeld(id), rest, dir: undefined, blobs: [] });
    }
  }
  return layers;
}

function needsOfLayer({ id, dir, blobs }: LayerFacts): readonly ObjectKey[] {
  const needs: ObjectKey[] = [`layer/${id}`];
  if (dir !== undefined) needs.push(`dir/${id}`);
  for (const { digest } of blobs) needs.push(`blob/${digest}`);
  return needs;
}

function imageItems(layout: StoreLayout, db: Database, layers: ReadonlyMap<LayerId, LayerFacts>): readonly Item[] {
  const needsOf = createImageNeeds(layout, db);
  return db.all('SELECT * FROM image').map((row): Item => {
    const isRoot = row['origin'] !== 'pull';
    const needs = new Set(needsOf(String(row['digest']) as Digest));
    if (!isRoot) {
      for (const key of [...needs]) {
        const layer = key.startsWith('layer/') ? layers.get(key.slice('layer/'.length)) : undefined;
        if (layer !== undefined) for (const form of needsOfLayer(layer)) needs.add(form);
      }
    }
    return {
      type: isRoot ? 'image' : 'base',
      id: String(row['name']),
      description: String(row['digest']),
      needs: [...needs],
      created: Number(row['created']),
      used: Math.max(Number(row['used']), Number(row['created'])),
      project: undefined,
      isRoot,
    };
  });
}

function stepItems(db: Database, layers: ReadonlyMap<LayerId, LayerFacts>): readonly Item[] {
  const rows = db.all(
    'SELECT key, outputs, parents, created, used, description, project FROM record ORDER BY created, key',
  );
  const used = effectiveUse(rows);
  const formsOf = new Map<LayerId, readonly ObjectKey[]>();
  return rows.map((row): Item => {
    const needs = new Set<ObjectKey>();
    let isBroken = false;
    for (const id of decodeOutputs(row['outputs']).flat()) {
      let forms = formsOf.get(id);
      if (forms === undefined) {
        const layer = layers.get(id);
        forms = layer === undefined ? [] : needsOfLayer(layer);
        formsOf.set(id, forms);
      }
      isBroken ||= forms.length === 0;
      for (const form of forms) needs.add(form);
    }
    const key = String(row['key']);
    return {
      type: 'step',
      id: key,
      description: String(row['description']),
      needs: [...needs],
      created: Number(row['created']),
      used: used.get(key) ?? 0,
      project: typeof row['project'] === 'string' ? row['project'] : undefined,
      isRoot: false,
      isBroken,
    };
  });
}

/** A build that is found whole asks for its last step only: what that was made of counts as used as lately. */
function effectiveUse(rows: readonly Row[]): ReadonlyMap<string, number> {
  const byKey = new Map(rows.map((row) => [String(row['key']), row]));
  const used = new Map<string, number>();
  const latestFirst = [...rows].sort((a, b) => Number(b['used']) - Number(a['used']));
  for (const row of latestFirst) {
    const open = [String(row['key'])];
    for (let key = open.pop(); key !== undefined; key = open.pop()) {
      const at = byKey.get(key);
      if (at === undefined || used.has(key)) continue;
      used.set(key, Number(row['used']));
      open.push(...(JSON.parse(String(at['parents'])) as string[]));
    }
  }
  return used;
}

/** What is spare of a layer with both forms: the directory where an image needs the blob, else the blob. */
function addLayers(
  objects: Map<ObjectKey, StoreObject>,
  layers: ReadonlyMap<LayerId, LayerFacts>,
  roots: ReadonlySet<ObjectKey>,
): void {
  for (const { id, used, held, rest, dir, blobs } of layers.values()) {
    objects.set(`layer/${id}`, { key: `layer/${id}`, size: rest, used, held, isSpare: false });
    if (dir === undefined) continue;
    const isSpare = !roots.has(`dir/${id}`) && blobs.some(({ digest }) => roots.has(`blob/${digest}`));
    objects.set(`dir/${id}`, { key: `dir/${id}`, size: dir, used, held, isSpare });
  }
}

function addBlobs(
  objects: Map<ObjectKey, StoreObject>,
  db: Database,
  disk: DiskFacts,
  layers: ReadonlyMap<LayerId, LayerFacts>,
  held: HeldLines,
  roots: ReadonlySet<ObjectKey>,
): void {
  const heldByLayer = new Set<string>();
  /** Every layer that has it has a directory too, and can make or pull it again. */
  const spare = new Map<string, boolean>();
  for (const layer of layers.values()) {
    for (const { digest, isReproducible } of layer.blobs) {
      if (layer.held) heldByLayer.add(digest);
      spare.set(digest, (spare.get(digest) ?? true) && isReproducible && layer.dir !== undefined);
    }
  }
  const rows = new Map(db.all('SELECT digest, size, used FROM blob').map((row) => [String(row['digest']), row]));
  for (const hex of disk.blobs) {
    if (!/^[0-9a-f]{64}$/.test(hex)) continue;
    const digest: Digest = `sha256:${hex}`;
    const key: ObjectKey = `blob/${digest}`;
    const row = rows.get(digest);
    objects.set(key, {
      key,
      size: Number(row?.['size'] ?? 0),
      used: Number(row?.['used'] ?? 0),
      held: held.lines.has(HELD.blob(digest)) || heldByLayer.has(digest),
      isSpare: spare.get(digest) === true && !roots.has(key),
    });
  }
}

function addOthers(
  objects: Map<ObjectKey, StoreObject>,
  items: Item[],
  db: Database,
  disk: DiskFacts,
  held: HeldLines,
): void {
  const filesHeld = held.lines.has(HELD.files);
  const add = (
    type: Item['type'],
    key: ObjectKey,
    item: Partial<Item>,
    entry: { size: number; used: number },
  ): void => {
    const { size, used } = entry;
    const isFile = type === 'files';
    objects.set(key, { key, size, used, held: isFile && filesHeld, isSpare: false });
    const id = key.slice(key.indexOf('/') + 1);
    const base = { type, id, description: '', needs: [key], created: used, used, project: undefined, isRoot: false };
    items.push({ ...base, ...item });
  };
  for (const entry of disk.mounts) add('cache-mount', `mount/${entry.name}`, { description: entry.id }, entry);
  for (const entry of disk.files) add('files', `file/${entry.name}`, {}, entry);
  for (const entry of disk.suspectFiles) add('files', `suspect/${entry.name}`, {}, entry);
  const contexts = new Map(db.all('SELECT * FROM context').map((row) => [String(row['id']), row]));
  for (const entry of disk.contexts) {
    const id = entry.name.slice(0, CONTEXT_ID_LENGTH);
    const row = contexts.get(id);
    const used = Math.max(entry.used, Number(row?.['used'] ?? 0));
    const description = typeof row?.['directory'] === 'string' ? row['directory'] : '';
    add('context', `context/${entry.name}`, { id, description, project: id }, { size: entry.size, used });
  }
}
