/** What lies in the state directory, measured; the database is asked for nothing but earlier measurements. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import type { LayerId } from '../contracts/index.ts';
import type { Database } from './database.ts';
import type { StoreLayout } from './layout.ts';
import { decodeTree } from './tree-codec.ts';
import { directorySize, fileSize, measureOnce, measureTree } from './usage-measure.ts';

export interface DiskEntry {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Last access as far as the file system knows, milliseconds since the epoch. */
  readonly used: number;
}

export interface DiskFacts {
  /** Of each directory in `l/`: bytes of its tree and what else lies beside the layer's directory. */
  readonly layers: ReadonlyMap<LayerId, number>;
  /** Bytes of layers' directories, where the database does not know them yet. */
  readonly directories: ReadonlyMap<LayerId, number>;
  /** Names in `blobs/sha256`. */
  readonly blobs: ReadonlySet<string>;
  /** Hex digests. */
  readonly files: readonly DiskEntry[];
  readonly suspectFiles: readonly DiskEntry[];
  /** `<hash>/<slot>`, with the id that steps know it by. */
  readonly mounts: readonly (DiskEntry & { readonly id: string })[];
  /** Hashes. */
  readonly contexts: readonly DiskEntry[];
  /** Bytes of the database. */
  readonly database: number;
  /** Bytes of what is none of these. */
  readonly other: number;
}

/** Takes some milliseconds for each 1,000 layers or files; a tree or a cache mount that changed is measured once. */
export function readDisk(layout: StoreLayout, db: Database): DiskFacts {
  const layers = new Map<LayerId, number>();
  for (const id of names(layout.layers)) layers.set(id, besideDirectory(`${layout.layers}/${id}`));
  return {
    layers,
    directories: newDirectories(layout, db),
    blobs: new Set(names(layout.blobs)),
    files: singleFiles(layout.files),
    suspectFiles: singleFiles(layout.suspectFiles),
    mounts: cacheMounts(layout, db),
    contexts: names(layout.statCaches).flatMap((name) => entryOf(layout.statCaches, name) ?? []),
    database: ['', '-wal', '-shm'].reduce((sum, suffix) => sum + fileSize(`${layout.database}${suffix}`), 0),
    other: measureTree(`${layout.root}/code`),
  };
}

/** The names in a directory; none when it is not there. */
export function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function besideDirectory(layerRoot: string): number {
  let size = 0;
  for (const name of names(layerRoot)) if (name !== 'fs' && name !== 'work') size += fileSize(`${layerRoot}/${name}`);
  return size;
}

function newDirectories(layout: StoreLayout, db: Database): ReadonlyMap<LayerId, number> {
  const sizes = new Map<LayerId, number>();
  for (const row of db.all('SELECT id, size FROM layer WHERE dir = 1 AND disk IS NULL')) {
    const id = String(row['id']);
    let disk: number;
    try {
      disk = directorySize(decodeTree(readFileSync(layout.treePath(id))));
    } catch {
      disk = Number(row['size'] ?? 0);
    }
    sizes.set(id, disk);
    db.writeLater('UPDATE layer SET disk = :disk WHERE id = :id', { id, disk });
  }
  return sizes;
}

function singleFiles(directory: string): readonly DiskEntry[] {
  return names(directory).flatMap((part) =>
    names(`${directory}/${part}`).flatMap((name) => entryOf(`${directory}/${part}`, name) ?? []),
  );
}

/** Most file systems note a first read after a write, and later ones once a day (relatime, mount(8)). */
function entryOf(directory: string, name: string): DiskEntry | undefined {
  const stat = statSync(`${directory}/${name}`, { throwIfNoEntry: false });
  return stat?.isFile() !== true
    ? undefined
    : { name, size: stat.blocks * 512, used: Math.max(stat.atimeMs, stat.mtimeMs) };
}

function cacheMounts(layout: StoreLayout, db: Database): DiskFacts['mounts'] {
  return names(layout.caches).flatMap((hash) => {
    const base = `${layout.caches}/${hash}`;
    return names(base).flatMap((slot) => {
      if (!/^\d+$/.test(slot)) return [];
      const content = statSync(`${base}/${slot}/fs`, { throwIfNoEntry: false });
      if (content === undefined) return [];
      // Who uses a slot touches its lock when it begins and when it ends (worker/mounts/cache-slots.ts).
      const used = statSync(`${base}/${slot}/lock`, { throwIfNoEntry: false })?.mtimeMs ?? content.mtimeMs;
      const name = `${hash}/${slot}`;
      const size = measureOnce(db, `${base}/${slot}/fs`, `${used} ${content.ino}`, `cache/${name}`);
      return [{ name, size, used, id: idOf(base) ?? hash }];
    });
  });
}

function idOf(base: string): string | undefined {
  try {
    // A namespace, mostly none, and a slash come first (BuildKit: dockerfile2llb, convert_runmount.go).
    return readFileSync(`${base}/id`, 'utf8').replace(/^\//, '');
  } catch {
    return undefined;
  }
}
