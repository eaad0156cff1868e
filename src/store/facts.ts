import type { Database } from './database.ts';
import type { Store } from './types.ts';

const SAVE = 'INSERT OR REPLACE INTO fact (key, value) VALUES (:key, :value)';

/** The fact part of the store. Facts cause no batch of their own: they go with the next one, or at `close`. */
export function createFacts(db: Database): Pick<Store, 'readFact' | 'writeFact'> {
  const waiting = new Map<string, string>();
  db.onFlushed(() => waiting.clear());
  return {
    readFact(key) {
      const value = waiting.get(key) ?? db.get('SELECT value FROM fact WHERE key = ?', key)?.['value'];
      return typeof value === 'string' ? value : undefined;
    },
    writeFact(key, value) {
      waiting.set(key, value);
      db.writeLater(SAVE, { key, value });
    },
  };
}
