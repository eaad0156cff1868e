/** A cache mount in the hands of somebody who is no step: to fill it before a step uses it, or to read it afterwards. */
import { existsSync, mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { closeLockFile, openLockFile, waitFlock } from '../../sys/flock.ts';
import { noteId, slotsOf, tryTake } from './cache-slots.ts';

/** Who fills a cache holds it alone, who takes a slot shares it: steps that come meanwhile wait instead of starting another. */
const GATE = 'gate.lock';
/** Between two looks at a cache that is in use, milliseconds. */
const PAUSE = 100;
/** Longest wait for steps of other builds, milliseconds. */
const PATIENCE = 60_000;

export interface HeldCache {
  /** The slot: content is in `fs`, if there is any yet. */
  readonly directory: string;
  release(): void;
}

/**
 * For writing: alone, the first slot. Undefined when a step uses it: then it is warm enough.
 *
 * @param base `Store.cacheDir(id)`
 */
export async function holdCacheToFill(base: string, id: string, signal: AbortSignal): Promise<HeldCache | undefined> {
  mkdirSync(`${base}/0`, { recursive: true, mode: 0o700 });
  noteId(base, id);
  const gate = openLockFile(`${base}/${GATE}`);
  try {
    await waitFlock(gate, false, signal);
    const slot = tryTake(`${base}/${slotsOf(base)[0] ?? 0}`, false);
    if (slot !== undefined) {
      let held = true;
      return {
        directory: slot.directory,
        release() {
          if (!held) return;
          held = false;
          slot.release();
          closeLockFile(gate);
        },
      };
    }
  } catch (error) {
    closeLockFile(gate);
    throw error;
  }
  closeLockFile(gate);
  return undefined;
}

/** For reading, beside steps that share it. Undefined when there is none, or others keep it to themselves for too long. */
export async function holdCacheToRead(base: string, signal: AbortSignal): Promise<HeldCache | undefined> {
  if (!existsSync(base)) return undefined;
  const until = Date.now() + PATIENCE;
  while (Date.now() < until) {
    const filled = slotsOf(base).filter((number) => existsSync(`${base}/${number}/fs`));
    if (filled.length === 0) return undefined;
    for (const number of filled) {
      const slot = tryTake(`${base}/${number}`, true);
      if (slot !== undefined) return slot;
    }
    await sleep(PAUSE, undefined, { signal });
  }
  return undefined;
}

/** For steps: waits while somebody fills the cache. The slot is taken before this is released. */
export async function passGate(base: string, signal: AbortSignal): Promise<{ release(): void }> {
  const gate = openLockFile(`${base}/${GATE}`);
  try {
    await waitFlock(gate, true, signal);
  } catch (error) {
    closeLockFile(gate);
    throw error;
  }
  return { release: () => closeLockFile(gate) };
}
