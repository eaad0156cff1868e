import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import type { Digest, LayerId, Tree } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import { asBuildError, errnoOf } from '../sys/errno.ts';
import { removeTree } from '../sys/remove.ts';
import { isStale } from './access.ts';
import { writeWhole } from './content.ts';
import type { Database, Row } from './database.ts';
import type { Holds } from './holds.ts';
import type { StoreLayout } from './layout.ts';
import type { Settlement } from './settle.ts';
import { decodeTree, treeParts } from './tree-codec.ts';
import type { LayerRow, Store } from './types.ts';
import { directoryMatchesTree } from './verify-layer.ts';

type StoredBlob = LayerRow['blobs'][number];
type Facts = Parameters<Store['saveLayer']>[1];

/** What waits for the next batch, and what is added to a row on disk. */
interface PendingLayer {
  diffId: Digest | undefined;
  size: number | undefined;
  dir: boolean;
  readonly blobs: Map<Digest, Omit<StoredBlob, 'local'>>;
}

const SAVE = `
INSERT INTO layer (id, diff_id, size, dir, seq, used) VALUES (:id, :diffId, :size, :dir, :seq, :used)
ON CONFLICT (id) DO UPDATE SET
  diff_id = coalesce(excluded.diff_id, diff_id), size = coalesce(excluded.size, size), dir = max(dir, excluded.dir),
  seq = excluded.seq, used = excluded.used`;
const SAVE_BLOB = `
INSERT INTO layer_blob (layer, digest, media_type, size, diff_id, annotations, compressor)
VALUES (:layer, :digest, :mediaType, :size, :diffId, :annotations, :compressor)
ON CONFLICT (layer, digest) DO UPDATE SET
  media_type = excluded.media_type, size = excluded.size, diff_id = excluded.diff_id,
  annotations = coalesce(excluded.annotations, annotations), compressor = coalesce(excluded.compressor, compressor)`;
const SAVE_REPOSITORY = 'INSERT OR IGNORE INTO blob_repository (digest, repository) VALUES (:digest, :repository)';
const VERIFIED = 'UPDATE layer SET dir = :dir, seq = :seq WHERE id = :id';
const TOUCH = 'UPDATE layer SET used = :used WHERE id = :id';
const FIND_BY_DIFF_ID = 'SELECT id FROM layer WHERE diff_id = ? ORDER BY dir DESC, used DESC LIMIT 1';
const FIND_BY_BLOB = `
SELECT layer.id FROM layer_blob JOIN layer ON layer.id = layer_blob.layer
WHERE layer_blob.digest = ? ORDER BY layer.dir DESC, layer.used DESC LIMIT 1`;

type LayerPart = Pick<
  Store,
  'newLayer' | 'layer' | 'findLayer' | 'saveLayer' | 'layerDir' | 'layerWorkDir' | 'readTree' | 'writeTree'
>;

/** The layer part of the store. */
export function createLayers(
  layout: StoreLayout,
  db: Database,
  settlement: Settlement,
  newId: () => LayerId,
  hasBlob: (digest: Digest) => boolean,
  holds: Pick<Holds, 'layer'>,
): {
  readonly part: LayerPart;
  /** Removes the layers of this process that were never saved. */ discardUnfinished(): void;
} {
  const unfinished = new Set<LayerId>();
  const pending = new Map<LayerId, PendingLayer>();
  const touched = new Set<LayerId>();
  db.onFlushed(() => pending.clear());

  /** The row on disk, verified if the machine was started again since it was written. */
  function storedRow(id: LayerId): Row | undefined {
    const row = db.get('SELECT * FROM layer WHERE id = ?', id);
    if (row === undefined) return undefined;
    if (!settlement.isSuspect(Number(row['seq']))) {
      if (isStale(row['used']) && !touched.has(id)) {
        touched.add(id);
        db.writeLater(TOUCH, { id, used: Date.now() });
      }
      return row;
    }
    const dir = verifyFiles(layout, id, row['dir'] === 1);
    db.write(VERIFIED, { id, dir: dir ? 1 : 0 });
    db.flush();
    return { ...row, dir: dir ? 1 : 0 };
  }

  function blobsOf(id: LayerId, waiting: PendingLayer | undefined): LayerRow['blobs'] {
    const found = new Map<Digest, Omit<StoredBlob, 'local'>>();
    for (const row of db.all('SELECT * FROM layer_blob WHERE layer = ?', id)) {
      const blob = blobOf(row, repositoriesOf(db, String(row['digest'])));
      found.set(blob.digest, blob);
    }
    for (const [digest, blob] of waiting?.blobs ?? []) {
      const stored = found.get(digest);
      found.set(digest, stored === undefined ? blob : mergeBlob(stored, blob));
    }
    const blobs = [...found.values()].map((blob) => ({ ...blob, local: hasBlob(blob.digest) }));
    return blobs.sort((a, b) => Number(b.local) - Number(a.local));
  }

  function layer(id: LayerId): LayerRow | undefined {
    if (!unfinished.has(id)) holds.layer(id);
    const row = storedRow(id);
    const waiting = pending.get(id);
    if (row === undefined && waiting === undefined && !unfinished.has(id)) return undefined;
    const diffId = waiting?.diffId ?? row?.['diff_id'];
    const size = waiting?.size ?? row?.['size'];
    return {
      id,
      diffId: typeof diffId === 'string' ? (diffId as Digest) : undefined,
      size: typeof size === 'number' ? size : undefined,
      blobs: blobsOf(id, waiting),
      hasTree: existsSync(layout.treePath(id)),
      hasDir: waiting?.dir === true || row?.['dir'] === 1,
    };
  }

  function saveLayer(id: LayerId, facts: Facts): void {
    // A row under suspicion is verified first: saving gives it a number that is above suspicion.
    storedRow(id);
    let waiting = pending.get(id);
    if (waiting === undefined) {
      waiting = { diffId: undefined, size: undefined, dir: false, blobs: new Map() };
      pending.set(id, waiting);
    }
    waiting.diffId = facts.diffId ?? facts.blob?.diffId ?? waiting.diffId;
    waiting.size = facts.size ?? waiting.size;
    waiting.dir ||= facts.dir === true;
    unfinished.delete(id);
    db.write(SAVE, {
      id,
      diffId: facts.diffId ?? facts.blob?.diffId ?? null,
      size: facts.size ?? null,
      dir: facts.dir === true ? 1 : 0,
      used: Date.now(),
    });
    if (facts.blob !== undefined) saveBlob(id, waiting, facts.blob);
  }

  function saveBlob(id: LayerId, waiting: PendingLayer, facts: NonNullable<Facts['blob']>): void {
    const { mediaType, digest, size, diffId, annotations, compressor, repository } = facts;
    const repositories = repository === undefined ? [] : [repository];
    const blob = { mediaType, digest, size, diffId, annotations, compressor, repositories };
    const before = waiting.blobs.get(digest);
    waiting.blobs.set(digest, before === undefined ? blob : mergeBlob(before, blob));
    db.write(SAVE_BLOB, {
      layer: id,
      digest,
      mediaType,
      size,
      diffId,
      annotations: annotations === undefined ? null : JSON.stringify(annotations),
      compressor: compressor ?? null,
    });
    if (repository !== undefined) db.write(SAVE_REPOSITORY, { digest, repository });
  }

  const part: LayerPart = {
    newLayer() {
      const id = newId();
      try {
        mkdirSync(layout.layerRoot(id), { mode: 0o700 });
      } catch (error) {
        throw asBuildError(error);
      }
      unfinished.add(id);
      return id;
    },
    layer,
    findLayer(by) {
      for (const [id, waiting] of pending) {
        if ('diffId' in by ? waiting.diffId === by.diffId : waiting.blobs.has(by.blob)) return id;
      }
      for (;;) {
        const row = 'diffId' in by ? db.get(FIND_BY_DIFF_ID, by.diffId) : db.get(FIND_BY_BLOB, by.blob);
        if (row === undefined) return undefined;
        const id = String(row['id']);
        holds.layer(id);
        // Removed between the two, by a collector that could not know yet.
        if (db.get('SELECT id FROM layer WHERE id = ?', id) !== undefined) return id;
      }
    },
    saveLayer,
    layerDir: (id) => layout.layerDir(id),
    layerWorkDir: (id) => layout.layerWorkDir(id),
    async readTree(id) {
      return decodeTree(readTreeFile(layout, id));
    },
    async writeTree(id, tree) {
      writeTreeFile(layout, id, tree);
    },
  };
  return {
    part,
    discardUnfinished() {
      for (const id of unfinished) removeTree(layout.layerRoot(id));
      unfinished.clear();
    },
  };
}

function readTreeFile(layout: StoreLayout, id: LayerId): Uint8Array {
  try {
    return readFileSync(layout.treePath(id));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw asBuildError(error);
    throw new BuildError({ code: 'store', message: `layer ${id} has no tree in the store`, cause: error });
  }
}

function writeTreeFile(layout: StoreLayout, id: LayerId, tree: Tree): void {
  writeWhole(treeParts(tree), layout.tempPath('.tree'), layout.treePath(id));
}

/** Removes what a loss of power has damaged; true when the directory is good. */
function verifyFiles(layout: StoreLayout, id: LayerId, hasDir: boolean): boolean {
  let tree: Tree | undefined;
  try {
    tree = decodeTree(readFileSync(layout.treePath(id)));
  } catch {
    removeTree(layout.treePath(id));
  }
  if (hasDir && tree !== undefined && directoryMatchesTree(layout.layerDir(id), tree)) return true;
  if (hasDir) removeTree(layout.layerDir(id));
  return false;
}

function blobOf(row: Row, repositories: readonly string[]): Omit<StoredBlob, 'local'> {
  const { annotations, compressor } = row;
  return {
    mediaType: String(row['media_type']),
    digest: String(row['digest']) as Digest,
    size: Number(row['size']),
    diffId: String(row['diff_id']) as Digest,
    annotations: typeof annotations === 'string' ? (JSON.parse(annotations) as Record<string, string>) : undefined,
    compressor: typeof compressor === 'string' ? compressor : undefined,
    repositories,
  };
}

function repositoriesOf(db: Database, digest: string): readonly string[] {
  return db
    .all('SELECT repository FROM blob_repository WHERE digest = ? ORDER BY repository', digest)
    .map((row) => String(row['repository']));
}

function mergeBlob(old: Omit<StoredBlob, 'local'>, added: Omit<StoredBlob, 'local'>): Omit<StoredBlob, 'local'> {
  return {
    ...added,
    annotations: added.annotations ?? old.annotations,
    compressor: added.compressor ?? old.compressor,
    repositories: [...new Set([...old.repositories, ...added.repositories])].sort(),
  };
}
