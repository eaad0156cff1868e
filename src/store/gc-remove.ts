/** Takes objects out of the state directory, each in one step that a kill leaves done or not done. */
import { renameSync, unlinkSync } from 'node:fs';
import { asBuildError, errnoOf } from '../sys/errno.ts';
import { closeLockFile, openLockFile, tryFlock } from '../sys/flock.ts';
import type { Database } from './database.ts';
import { splitKey, type ObjectKey } from './gc-inventory.ts';
import type { StoreLayout } from './layout.ts';
import type { Digest } from '../contracts/index.ts';

const FORGET_LAYER = 'DELETE FROM layer WHERE id = ? RETURNING id';
const FORGET_LAYER_BLOBS = 'DELETE FROM layer_blob WHERE layer = ? RETURNING layer';
const FORGET_DIRECTORY = 'UPDATE layer SET dir = 0, disk = NULL WHERE id = ? RETURNING id';
const FORGET_BLOB = 'DELETE FROM blob WHERE digest = ? RETURNING digest';
/** A layer without bytes or a place to have them from must not say that it has a blob. */
const FORGET_LOCAL_BLOB = `
DELETE FROM layer_blob WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM blob_repository WHERE digest = ?1) RETURNING layer`;

/**
 * Moves what is large into `trash`, a directory of the same file system, and forgets its rows. To be called in a
 * transaction: files first, so that after a kill in between the rows, still condemned, lead to the rest.
 *
 * @returns False when it is in use.
 */
export function removeObject(key: ObjectKey, trash: string, layout: StoreLayout, db: Database): boolean {
  const [kind, name] = splitKey(key);
  const aside = `${trash}/${kind}-${name.replaceAll(/[/:]/g, '-')}`;
  switch (kind) {
    case 'layer':
      move(layout.layerRoot(name), aside);
      db.all(FORGET_LAYER_BLOBS, name);
      db.get(FORGET_LAYER, name);
      return true;
    case 'dir':
      move(layout.layerDir(name), aside);
      db.get(FORGET_DIRECTORY, name);
      return true;
    case 'blob':
      move(layout.blobPath(name as Digest), aside);
      db.all(FORGET_LOCAL_BLOB, name);
      db.get(FORGET_BLOB, name);
      return true;
    case 'file':
      unlink(`${layout.files}/${name.slice(0, 2)}/${name}`);
      return true;
    case 'suspect':
      unlink(`${layout.suspectFiles}/${name.slice(0, 2)}/${name}`);
      return true;
    case 'context':
      unlink(`${layout.statCaches}/${name}`);
      return true;
    case 'mount':
      return removeCacheMount(`${layout.caches}/${name}`, aside);
    default:
      return true;
  }
}

/** Its lock says whether a step uses it (worker/mounts/cache-slots.ts). Slot and lock stay: the next user fills them again. */
function removeCacheMount(slot: string, aside: string): boolean {
  const lock = openLockFile(`${slot}/lock`);
  try {
    if (!tryFlock(lock)) return false;
    move(`${slot}/fs`, aside);
    return true;
  } finally {
    closeLockFile(lock);
  }
}

function move(from: string, to: string): void {
  ignoringAbsence(() => renameSync(from, to));
}

function unlink(path: string): void {
  ignoringAbsence(() => unlinkSync(path));
}

function ignoringAbsence(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw asBuildError(error);
  }
}
