import { isStale } from './access.ts';
import type { Database, Row } from './database.ts';
import { decodeOutputs, encodeOutputs } from './record-outputs.ts';
import type { CacheRecord, Store } from './types.ts';

const FIND = `
SELECT * FROM record WHERE key = ?
UNION ALL SELECT record.* FROM alias JOIN record ON record.key = alias.key WHERE alias.alias = ?
LIMIT 1`;
const SAVE = `
INSERT OR REPLACE INTO record (key, outputs, created, description, inputs, parents, project, used)
VALUES (:key, :outputs, :created, :description, :inputs, :parents, :project, :used)`;
const ALIAS = 'INSERT OR REPLACE INTO alias (alias, key) VALUES (:alias, :key)';
const TOUCH = 'UPDATE record SET used = :used WHERE key = :key';

/**
 * The cache record part of the store.
 *
 * @param project Id of what the records of this store are made for.
 */
export function createRecords(
  db: Database,
  project: () => string | undefined,
): Pick<Store, 'findRecord' | 'saveRecord' | 'aliasRecord'> {
  // What waits for the next batch.
  const records = new Map<string, CacheRecord>();
  const aliases = new Map<string, string>();
  db.onFlushed(() => {
    records.clear();
    aliases.clear();
  });

  function stored(key: string): CacheRecord | undefined {
    const row = db.get(FIND, key, key);
    if (row === undefined) return undefined;
    const record = recordOf(row);
    if (isStale(row['used'])) db.writeLater(TOUCH, { key: record.key, used: Date.now() });
    return record;
  }

  return {
    findRecord(key) {
      const waiting = records.get(key);
      if (waiting !== undefined) return waiting;
      const alias = aliases.get(key);
      if (alias !== undefined) return records.get(alias) ?? stored(alias);
      const found = stored(key);
      // An alias on disk may lead to a record that was made again since.
      return found === undefined ? undefined : (records.get(found.key) ?? found);
    },
    saveRecord(record) {
      records.set(record.key, record);
      const { key, created, description, inputs } = record;
      db.write(SAVE, {
        key,
        outputs: encodeOutputs(record.outputs),
        created,
        description,
        inputs,
        parents: JSON.stringify(record.parents ?? []),
        project: project() ?? null,
        used: Date.now(),
      });
    },
    aliasRecord(alias, key) {
      if (alias === key || aliases.get(alias) === key) return;
      aliases.set(alias, key);
      db.write(ALIAS, { alias, key });
    },
  };
}

function recordOf(row: Row): CacheRecord {
  return {
    key: String(row['key']),
    outputs: decodeOutputs(row['outputs']),
    created: Number(row['created']),
    description: String(row['description']),
    inputs: String(row['inputs']),
  };
}
