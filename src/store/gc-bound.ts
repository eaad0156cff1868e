/** Whether the cache may be larger than it should be, asked after each build that wrote something: in a millisecond. */
import { statSync } from 'node:fs';
import { fileSystemOf } from '../sys/statfs.ts';
import type { Database } from './database.ts';
import type { Inventory, ObjectKey } from './gc-inventory.ts';
import type { StoreLayout } from './layout.ts';
import { names } from './usage-disk.ts';
import { measureOnce } from './usage-measure.ts';

const SIZE = `
SELECT (SELECT coalesce(sum(size), 0) FROM blob)
  + (SELECT coalesce(sum(coalesce(disk, size, 0)), 0) FROM layer WHERE dir = 1) AS size`;
const ROOTS = 'image-bytes';
/** A cache mount that changed is measured again after so long, milliseconds: a walk takes a second for 100,000 files. */
const MEASURED_FOR = 24 * 60 * 60 * 1000;

/** @returns The bound where the cache may be over it, which a full look then has to say; bytes. */
export function roomOver(
  layout: StoreLayout,
  db: Database,
  boundOf: (fileSystem: number) => number,
): number | undefined {
  const { total, available } = fileSystemOf(layout.root);
  const bound = boundOf(total);
  if (total - available <= bound) return undefined;
  const roots = Number(db.get('SELECT value FROM meta WHERE key = ?', ROOTS)?.['value'] ?? 0);
  const known = Number(db.get(SIZE)?.['size'] ?? 0) - roots;
  if (known > bound) return bound;
  return known + mountsSize(layout, db) + filesSize(layout, db) > bound ? bound : undefined;
}

/** Remembers what images need, which does not count, until the next full look. */
export function noteRoots(db: Database, { objects }: Inventory, roots: ReadonlySet<ObjectKey>): void {
  let size = 0;
  for (const key of roots) size += objects.get(key)?.size ?? 0;
  db.get('INSERT OR REPLACE INTO meta VALUES (?, ?) RETURNING key', ROOTS, size);
}

function mountsSize(layout: StoreLayout, db: Database): number {
  let size = 0;
  for (const hash of names(layout.caches)) {
    for (const slot of names(`${layout.caches}/${hash}`)) {
      if (!/^\d+$/.test(slot)) continue;
      const path = `${layout.caches}/${hash}/${slot}/fs`;
      const content = statSync(path, { throwIfNoEntry: false });
      const used = statSync(`${path}/../lock`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (content === undefined) continue;
      const name = `cache/${hash}/${slot}`;
      const known = db.get('SELECT stamp, size FROM measure WHERE path = ?', name);
      const isRecent = known !== undefined && used - Number.parseFloat(String(known['stamp'])) < MEASURED_FOR;
      size += isRecent ? Number(known['size']) : measureOnce(db, path, `${used} ${content.ino}`, name);
    }
  }
  return size;
}

/** The directories of single files change when a file comes or goes. */
function filesSize(layout: StoreLayout, db: Database): number {
  let size = 0;
  for (const part of names(layout.files)) {
    const path = `${layout.files}/${part}`;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined) size += measureOnce(db, path, String(stat.mtimeMs), `files/${part}`);
  }
  return size;
}
