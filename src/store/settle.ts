/**
 * What a loss of power may have taken. Files are written without fsync, as most are caches that never see a crash; the
 * number of the batch (`seq`) that recorded them tells afterwards which are certain:
 *
 *     seq <= settled            the whole file system was synced after they were written
 *     in a suspect range        written after that, and then the machine was started again: verify before use
 *     later                     of this boot: the kernel has them, synced or not
 *
 * A range is noted when the boot ID differs from the one in the database. Files without a row are verified whenever the
 * boot changed (`content.ts`).
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { syncfsAsync } from '../sys/statfs.ts';
import type { Database } from './database.ts';
import type { StoreLayout } from './layout.ts';

export interface Settlement {
  /** True for a row whose files must be verified before use. */
  isSuspect(seq: number): boolean;
  /**
   * Syncs the file system on another thread, when there is something to settle and it will not take long: a process
   * cannot end while a thread of it waits for the disk.
   *
   * @param quick Whether it will not take long; absent = found out.
   */
  settle(quick?: boolean): Promise<void>;
}

type Range = readonly [first: number, last: number];

/** The id that Linux makes at each boot; empty where /proc is hidden, which counts as one long boot. */
export function currentBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** @param bootId Of now; a parameter for tests. */
export function openSettlement(db: Database, layout: StoreLayout, bootId: string): Settlement {
  const recorded = metaText(db, 'boot');
  if (recorded !== bootId) {
    db.transaction(() => {
      if (metaText(db, 'boot') === bootId) return;
      if (recorded !== undefined) noteSuspects(db, layout);
      db.get(`INSERT OR REPLACE INTO meta VALUES ('boot', ?) RETURNING key`, bootId);
    });
  }
  const ranges = JSON.parse(metaText(db, 'suspect') ?? '[]') as readonly Range[];

  return {
    isSuspect: (seq) => ranges.some(([first, last]) => seq >= first && seq <= last),
    async settle(quick = isQuickToSync(layout)) {
      const seq = metaNumber(db, 'seq');
      if (!quick || seq <= metaNumber(db, 'settled')) return;
      const fd = openSync(layout.root, 'r');
      try {
        if (!(await syncfsAsync(fd))) return;
      } finally {
        closeSync(fd);
      }
      db.writeLater(`UPDATE meta SET value = max(value, :settled) WHERE key = 'settled'`, { settled: seq });
    },
  };
}

/** Milliseconds after which the kernel has written most of what was written (vm.dirty_expire_centisecs is 30 s). */
const SETTLING_TIME = 60_000;
/** KiB waiting for the disk anywhere in the machine: some 100 ms of writing. */
const LITTLE_DIRTY = 32 << 10;

function isQuickToSync(layout: StoreLayout): boolean {
  if (Date.now() - statSync(layout.database).mtimeMs < SETTLING_TIME) return false;
  const waiting = readFileSync('/proc/meminfo', 'utf8').matchAll(/^(?:Dirty|Writeback): +([0-9]+) kB/gm);
  return [...waiting].reduce((sum, [, kib]) => sum + Number(kib), 0) < LITTLE_DIRTY;
}

/** Single files that nobody asked for between two starts of the machine; removed with what dead processes left. */
export const LOST_FILES = 'files-';

/** The machine was started again: all after the last settled batch is suspect, and all single files are. */
function noteSuspects(db: Database, layout: StoreLayout): void {
  const seq = metaNumber(db, 'seq');
  const settled = metaNumber(db, 'settled');
  if (seq > settled) {
    const ranges = JSON.parse(metaText(db, 'suspect') ?? '[]') as Range[];
    ranges.push([settled + 1, seq]);
    db.get(`UPDATE meta SET value = ? WHERE key = 'suspect' RETURNING key`, JSON.stringify(ranges));
    // Batches of this boot are beyond the range.
    db.get(`UPDATE meta SET value = ? WHERE key = 'settled' RETURNING key`, seq);
  }
  if (existsSync(layout.suspectFiles)) renameSync(layout.suspectFiles, `${layout.temp}/${LOST_FILES}${seq}`);
  if (existsSync(layout.files)) renameSync(layout.files, layout.suspectFiles);
}

function metaText(db: Database, key: string): string | undefined {
  const value = db.get('SELECT value FROM meta WHERE key = ?', key)?.['value'];
  return typeof value === 'string' ? value : undefined;
}

function metaNumber(db: Database, key: string): number {
  return Number(db.get('SELECT value FROM meta WHERE key = ?', key)?.['value'] ?? 0);
}
