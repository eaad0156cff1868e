import { existsSync, readFileSync } from 'node:fs';
import { BuildError, type Digest } from '../contracts/index.ts';
import { asBuildError } from '../sys/errno.ts';
import { createWriter, digestOf, verifyFile, writeWhole } from './content.ts';
import { isStale } from './access.ts';
import type { Database } from './database.ts';
import type { Holds } from './holds.ts';
import type { StoreLayout } from './layout.ts';
import type { Settlement } from './settle.ts';
import type { Store } from './types.ts';

/** Documents up to this size are verified each time they are read; larger blobs are verified by who unpacks them. */
const VERIFY_ON_READ = 4 << 20;

const UPSERT = `
INSERT INTO blob (digest, size, seq, used) VALUES (:digest, :size, :seq, :used)
ON CONFLICT (digest) DO UPDATE SET seq = excluded.seq, used = excluded.used`;

/** The blob part of the store. */
export function createBlobs(
  layout: StoreLayout,
  db: Database,
  settlement: Settlement,
  holds: Pick<Holds, 'blob'>,
): Pick<Store, 'blobPath' | 'hasBlob' | 'createBlob' | 'putBlob' | 'readBlob'> {
  /** Known to be good: written or looked up by this process. Whether they are still there is asked each time. */
  const good = new Set<Digest>();

  function recordBlob(digest: Digest, size: number): void {
    good.add(digest);
    db.write(UPSERT, { digest, size, used: Date.now() });
  }

  function hasBlob(digest: Digest): boolean {
    const path = layout.blobPath(digest);
    holds.blob(digest);
    if (!existsSync(path)) return false;
    if (good.has(digest)) return true;
    const row = db.get('SELECT seq, used FROM blob WHERE digest = ?', digest);
    if (row !== undefined && !settlement.isSuspect(Number(row['seq']))) {
      if (isStale(row['used'])) db.writeLater(TOUCH, { digest, used: Date.now() });
      good.add(digest);
      return true;
    }
    // A process died before its batch, or the machine: the name alone proves nothing.
    const verified = verifyFile(path, digest);
    if (verified === undefined) return false;
    recordBlob(digest, verified.size);
    return true;
  }

  return {
    blobPath: (digest) => layout.blobPath(digest),
    hasBlob,
    async createBlob() {
      const place = (digest: Digest): string => {
        holds.blob(digest);
        return layout.blobPath(digest);
      };
      return createWriter(layout.tempPath('.blob'), place, recordBlob);
    },
    async putBlob(data) {
      const digest = digestOf(data);
      if (!hasBlob(digest)) {
        writeWhole([data], layout.tempPath('.blob'), layout.blobPath(digest));
        recordBlob(digest, data.length);
      }
      return { digest, size: data.length };
    },
    async readBlob(digest) {
      let data: Uint8Array;
      try {
        data = readFileSync(layout.blobPath(digest));
      } catch (error) {
        const { message } = asBuildError(error);
        throw new BuildError({
          code: 'store',
          message: `blob ${digest} is not in the store: ${message}`,
          cause: error,
        });
      }
      if (data.length <= VERIFY_ON_READ && digestOf(data) !== digest) {
        throw new BuildError({
          code: 'store',
          message: `blob ${digest} in the store is damaged`,
          hint: `remove ${layout.blobPath(digest)} and try again`,
        });
      }
      return data;
    },
  };
}

const TOUCH = 'UPDATE blob SET used = :used WHERE digest = :digest';
