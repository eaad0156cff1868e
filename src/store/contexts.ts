/** Which directory a context id stands for: the database remembers, as stat caches are named by a hash and records by the id. */
import { isStale } from './access.ts';
import type { Database } from './database.ts';
import { hashName } from './layout.ts';

/** Hex digits of {@link contextId}. */
export const CONTEXT_ID_LENGTH = 12;

const SAVE = 'INSERT OR REPLACE INTO context (id, directory, used) VALUES (:id, :directory, :used)';

/** A short name for a directory on this machine; the beginning of its stat cache's. */
export function contextId(directory: string): string {
  return hashName(directory).slice(0, CONTEXT_ID_LENGTH);
}

export interface Contexts {
  /** {@link contextId}, remembered as used. @param directory Absolute. */
  idOf(directory: string): string;
}

export function createContexts(db: Database): Contexts {
  const ids = new Map<string, string>();
  return {
    idOf(directory) {
      let id = ids.get(directory);
      if (id === undefined) {
        id = contextId(directory);
        ids.set(directory, id);
        const used = db.get('SELECT used FROM context WHERE id = ?', id)?.['used'];
        if (used === undefined || isStale(used)) db.writeLater(SAVE, { id, directory, used: Date.now() });
      }
      return id;
    },
  };
}
