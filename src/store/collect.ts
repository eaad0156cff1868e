/** Removes what dead processes left: their temporary directories and the layers they did not finish. */
import { readdirSync } from 'node:fs';
import { removeTreeSteps } from '../sys/remove.ts';
import type { Database } from './database.ts';
import { isOfBlock } from './layer-ids.ts';
import type { StoreLayout } from './layout.ts';
import { findDeadLeases } from './lease.ts';
import { LOST_FILES } from './settle.ts';

/** What a collection took out and had no time to remove. */
export const TRASH = 'trash-';

/**
 * In steps of about a millisecond. Whoever stops early, or dies, leaves the rest to the next process. Errors of single
 * files leave the lease for another time: garbage must never fail a build.
 */
export function* collectDead(layout: StoreLayout, db: Database): Generator<void, void> {
  const dead = findDeadLeases(layout.root);
  let current = 0;
  try {
    for (; current < dead.length; current++) {
      const lease = dead[current];
      if (lease === undefined) break;
      try {
        for (const path of unfinishedLayers(layout, db, lease.blocks)) yield* removeTreeSteps(path);
        yield* removeTreeSteps(lease.directory);
        lease.done();
      } catch {
        lease.leave();
      }
    }
    yield* removeLostFiles(layout);
  } finally {
    for (const lease of dead.slice(current)) lease.leave();
  }
}

function* removeLostFiles(layout: StoreLayout): Generator<void, void> {
  for (const name of readdirSync(layout.temp)) {
    if (!name.startsWith(LOST_FILES) && !name.startsWith(TRASH)) continue;
    try {
      yield* removeTreeSteps(`${layout.temp}/${name}`);
    } catch {
      // Another process removes it at the same time, or the next one tries again.
    }
  }
}

/** A layer that the process finished is in the database; another directory of its blocks is not needed by anybody. */
function unfinishedLayers(layout: StoreLayout, db: Database, blocks: readonly string[]): readonly string[] {
  if (blocks.length === 0) return [];
  return readdirSync(layout.layers)
    .filter((id) => blocks.some((block) => isOfBlock(id, block)))
    .filter((id) => db.get('SELECT id FROM layer WHERE id = ?', id) === undefined)
    .map((id) => layout.layerRoot(id));
}

/** Runs steps between other work until they are done or `stop` is called. */
export function runInBackground(steps: Generator<void, void>): { stop(): void } {
  let stopped = false;
  const next = (): void => {
    if (stopped) return;
    if (steps.next().done !== true) setImmediate(next).unref();
  };
  setImmediate(next).unref();
  return {
    stop() {
      stopped = true;
      steps.return();
    },
  };
}
