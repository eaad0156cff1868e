import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { asBuildError, errnoOf } from '../sys/errno.ts';
import { writeWhole } from './content.ts';
import type { Contexts } from './contexts.ts';
import type { StoreLayout } from './layout.ts';
import type { Store } from './types.ts';

/** Bytes: what follows keeps its alignment. */
const CHECKSUM = 8;

/** Stat caches: opaque bytes with a checksum in front. A damaged one is one that was never written. */
export function createStatCaches(
  layout: StoreLayout,
  contexts: Contexts,
): Pick<Store, 'readStatCache' | 'writeStatCache'> {
  return {
    async readStatCache(contextRoot) {
      let file: Buffer;
      try {
        file = readFileSync(layout.statCachePath(contextRoot));
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw asBuildError(error);
      }
      if (file.length < CHECKSUM) return undefined;
      const data = file.subarray(CHECKSUM);
      if (crc32(data) !== file.readUInt32LE(0)) return undefined;
      contexts.idOf(contextRoot);
      return data;
    },
    async writeStatCache(contextRoot, parts) {
      // Directories of ours that a build takes its context from do not come back.
      if (contextRoot.startsWith(`${layout.temp}/`)) return;
      contexts.idOf(contextRoot);
      const checksum = Buffer.alloc(CHECKSUM);
      let sum = 0;
      for (const part of parts) sum = crc32(part, sum);
      checksum.writeUInt32LE(sum);
      writeWhole([checksum, ...parts], layout.tempPath('.statcache'), layout.statCachePath(contextRoot));
    },
  };
}
