import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collectDead } from './collect.ts';
import { openDatabase, type Database } from './database.ts';
import { storeLayout, type StoreLayout } from './layout.ts';
import { currentBootId, openSettlement } from './settle.ts';

// On memory: syncing a disk that others use may take any time.
let layout: StoreLayout;
let db: Database;
beforeEach(() => {
  layout = storeLayout(mkdtempSync('/dev/shm/slipway-settle-'));
  mkdirSync(layout.temp);
  db = openDatabase(layout.database, layout.root);
});
afterEach(() => {
  db.close();
  rmSync(layout.root, { recursive: true });
});

function restart(): void {
  db.close();
  db = openDatabase(layout.database, layout.root);
}

/** One batch; returns its number. */
function writeBatch(): number {
  db.write('INSERT OR REPLACE INTO blob VALUES (:digest, 1, :seq, 1)', { digest: 'x' });
  db.flush();
  return Number(db.get('SELECT seq FROM blob')?.['seq']);
}

test('what was written before a sync is above suspicion, what came after is not, what comes now is', async () => {
  const settlement = openSettlement(db, layout, 'first');
  const before = writeBatch();
  await settlement.settle(true);
  const after = writeBatch();
  expect([before, after].map((seq) => settlement.isSuspect(seq))).toEqual([false, false]);

  restart();
  const second = openSettlement(db, layout, 'second');
  const now = writeBatch();
  expect([before, after, now].map((seq) => second.isSuspect(seq))).toEqual([false, true, false]);

  // A later sync says nothing about what was lost before.
  await second.settle(true);
  restart();
  const third = openSettlement(db, layout, 'third');
  expect([before, after, now].map((seq) => third.isSuspect(seq))).toEqual([false, true, false]);
});

test('no sync when it may take long, or there is nothing to settle', async () => {
  const settlement = openSettlement(db, layout, 'first');
  const batch = writeBatch();
  await settlement.settle(false);
  restart();
  expect(openSettlement(db, layout, 'second').isSuspect(batch)).toBe(true);
});

test('the first boot suspects nothing; a boot has an id', () => {
  const batch = writeBatch();
  expect(openSettlement(db, layout, 'first').isSuspect(batch)).toBe(false);
  expect(currentBootId()).toMatch(/^[0-9a-f-]{36}$/);
});

test('files that nobody asked for between two starts are removed', () => {
  for (const boot of ['first', 'second', 'third']) {
    openSettlement(db, layout, boot);
    mkdirSync(layout.files, { recursive: true });
    writeFileSync(join(layout.files, boot), '');
    writeBatch();
  }
  openSettlement(db, layout, 'fourth');
  expect(existsSync(layout.files)).toBe(false);
  expect(readdirSync(layout.suspectFiles)).toEqual(['third']);
  expect(readdirSync(layout.temp)).toHaveLength(2);
  for (const steps = collectDead(layout, db); steps.next().done !== true;);
  expect(readdirSync(layout.temp)).toEqual([]);
});
