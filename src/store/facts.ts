import { isStale } from './access.ts';
import type { Database } from './database.ts';
import type { Store } from './types.ts';

const SAVE = 'INSERT OR REPLACE INTO fact (key, value, used) VALUES (:key, :value, :used)';

const TOUCH = 'UPDATE fact SET used = :used WHERE key = :key';

/** The fact part of the store. Facts cause no batch of their own: they go with the next one, or at `close`. */
export function createFacts(db: Database): Pick<Store, 'readFact' | 'writeFact'> {
  const waiting = new Map<string, string>();
  db.onFlushed(() => waiting.clear());
  return {
    readFact(key) {
      const known = waiting.get(key);
      if (known !== undefined) return known;
      const row = db.get('SELECT value, used FROM fact WHERE key = ?', key);
      if (row === undefined) return undefined;
      if (isStale(row['used'])) db.writeLater(TOUCH, { key, used: Date.now() });
      return String(row['value']);
    },
    writeFact(key, value) {
      waiting.set(key, value);
      db.writeLater(SAVE, { key, value, used: Date.now() });
    },
  };
}
