/**
 * What this process relies on. A collector and a process that finds something must not miss each other:
 *
 *     process      writes down what it holds, then looks whether that is condemned
 *     collector    condemns (a commit), then reads what is held; only what is not held is removed
 *
 * Whoever comes second sees the other. A process that finds its thing condemned rescues it, in a transaction: a collector
 * removes in a transaction too, and only what is condemned still.
 *
 * A build that finds everything must not pay for a lease (a lock needs a native call). Until it writes, it holds by a view of
 * the database: the collector waits until no view is older than its commit, and by then a lease has taken over what the
 * view was for, or the process has ended.
 */
import { existsSync } from 'node:fs';
import type { Digest, LayerId } from '../contracts/index.ts';
import type { Database } from './database.ts';
import type { StoreLayout } from './layout.ts';
import type { Lease } from './lease.ts';

export interface Holds {
  /** Layer and all its forms. Look at its row after this. */
  layer(id: LayerId): void;
  /** Look for the file after this. */
  blob(digest: Digest): void;
  /** All single files, as they are many. */
  files(): void;
  /** Called when the process has a lease from now on. */
  leased(lease: Lease): void;
}

/** The lines of a lease. */
export const HELD = {
  layer: (id: LayerId) => `l${id}`,
  blob: (digest: Digest) => `b${digest.slice(7)}`,
  files: 'F',
} as const;

/** Views hold up the writing back of the log: no longer than this, milliseconds. */
const VIEW_MAX = 2000;

const IS_CONDEMNED = 'SELECT 1 FROM condemned WHERE kind IN (?, ?) AND id = ?';
const RESCUE = 'DELETE FROM condemned WHERE kind IN (?, ?) AND id = ? RETURNING kind';

export function createHolds(
  layout: StoreLayout,
  db: Database,
  ownLease: () => Lease,
): Holds & { /** No view is open after this. */ close(): void } {
  const held = new Set<string>();
  let lease: Lease | undefined;
  let timer: NodeJS.Timeout | undefined;

  function leased(own: Lease): void {
    if (lease !== undefined) return;
    lease = own;
    clearTimeout(timer);
    if (held.size > 0) own.hold([...held]);
  }

  /** @returns Whether it is new. */
  function hold(line: string): boolean {
    if (held.has(line)) return false;
    held.add(line);
    if (lease !== undefined) lease.hold([line]);
    else {
      db.beginView(ownLease);
      timer ??= setTimeout(endView, VIEW_MAX).unref();
    }
    return true;
  }

  function endView(): void {
    try {
      db.endView();
    } catch {
      // No lease could be made (a full disk): the next write says so.
    }
  }

  /** Takes it out of the hands of a collector that has not got round to it; true when there was one. */
  function rescue(kind: string, form: string, id: string): boolean {
    if (db.get(IS_CONDEMNED, kind, form, id) === undefined) return false;
    return db.transaction(() => db.get(RESCUE, kind, form, id) !== undefined);
  }

  return {
    layer(id) {
      if (!hold(HELD.layer(id)) || !rescue('layer', 'dir', id)) return;
      // A collector may have died between moving a directory away and saying so.
      if (existsSync(layout.layerDir(id))) return;
      db.transaction(() => db.get('UPDATE layer SET dir = 0 WHERE id = ? RETURNING id', id));
    },
    blob(digest) {
      if (hold(HELD.blob(digest))) rescue('blob', 'blob', digest);
    },
    files() {
      if (hold(HELD.files)) rescue('files', 'files', '');
    },
    leased,
    close() {
      clearTimeout(timer);
    },
  };
}
