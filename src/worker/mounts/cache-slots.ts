/** The directories of one cache mount, and who uses them. */
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuildError, type ExecMount } from '../../contracts/index.ts';
import { closeLockFile, openLockFile, tryFlock } from '../../sys/flock.ts';

type Sharing = Extract<ExecMount, { readonly type: 'cache' }>['sharing'];

/** Pause between two looks at a cache that somebody else has locked, milliseconds. */
const LOCK_PAUSE = 50;
/** Milliseconds after which somebody who waits wants to know for what. */
const LONG_WAIT = 1000;

/** What people call it: the directory's name is a hash. */
export function noteId(base: string, id: string): void {
  if (!existsSync(`${base}/id`)) writeFileSync(`${base}/id`, id, { mode: 0o600 });
}

export function slotsOf(base: string): readonly number[] {
  return readdirSync(base)
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .sort((a, b) => a - b);
}

export interface Slot {
  readonly directory: string;
  release(): void;
}

/**
 * As BuildKit: the first slot that may be used with this sharing; when all are taken, `locked` waits, the others get a
 * new one.
 *
 * @param onLongWait Called once, when it takes more than a moment.
 */
export async function takeSlot(
  base: string,
  sharing: Sharing,
  signal: AbortSignal,
  onLongWait: () => void,
): Promise<Slot> {
  const long = performance.now() + LONG_WAIT;
  let told = false;
  for (;;) {
    const slots = slotsOf(base);
    for (const number of slots) {
      const taken = tryTake(`${base}/${number}`, sharing === 'shared');
      if (taken !== undefined) return taken;
    }
    if (sharing !== 'locked' || slots.length === 0) {
      // Two that come at once make the same one: the second finds it taken, or shares it, on its next look.
      mkdirSync(`${base}/${(slots.at(-1) ?? -1) + 1}`, { recursive: true, mode: 0o700 });
      continue;
    }
    if (!told && performance.now() > long) {
      told = true;
      onLongWait();
    }
    await sleep(LOCK_PAUSE, undefined, { signal }).catch((cause: unknown) => {
      throw new BuildError({ code: 'cancelled', message: 'cancelled while waiting for a locked cache mount', cause });
    });
  }
}

export function tryTake(directory: string, shared: boolean): Slot | undefined {
  const fd = openLockFile(`${directory}/lock`);
  if (!tryFlock(fd, shared)) {
    closeLockFile(fd);
    return undefined;
  }
  touch(`${directory}/lock`);
  let held = true;
  return {
    directory,
    release() {
      // The number of a closed file may be another's by now.
      if (!held) return;
      held = false;
      touch(`${directory}/lock`);
      closeLockFile(fd);
    },
  };
}

/** When a slot was used last, and may have changed: for those who measure and collect. */
function touch(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
}
