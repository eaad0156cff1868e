import type { LayerId } from '../contracts/index.ts';
import type { Database } from './database.ts';
import type { Lease } from './lease.ts';

/** Ids in a block: three base36 digits after the block's own. */
const BLOCK_SIZE = 36 ** 3;

/**
 * Layer ids: short, base36, unique in the state directory across processes. A process takes a whole block from the
 * database at once and counts in it; the lease remembers the block, so that unfinished layers of a dead process are found.
 */
export function createLayerIds(db: Database, lease: () => Lease): () => LayerId {
  let prefix = '';
  let next = BLOCK_SIZE;
  return () => {
    if (next === BLOCK_SIZE) {
      const row = db.transaction(() =>
        db.get(`UPDATE meta SET value = value + 1 WHERE key = 'layer-block' RETURNING value`),
      );
      prefix = Number(row?.['value']).toString(36);
      lease().markBlock(prefix);
      next = 0;
    }
    return prefix + (next++).toString(36).padStart(3, '0');
  };
}

/** Whether an id is of a block. */
export function isOfBlock(id: LayerId, prefix: string): boolean {
  return id.length === prefix.length + 3 && id.startsWith(prefix);
}
