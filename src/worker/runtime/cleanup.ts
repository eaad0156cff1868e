/** Takes away what a step needed besides its layer. */
import { readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { removeTree, removeTreeSteps } from '../../sys/remove.ts';

/** Other steps go on while much is removed. */
export async function removeInSteps(path: string): Promise<void> {
  const steps = removeTreeSteps(path);
  while (steps.next().done !== true) await setImmediate();
}

/**
 * Removes a step's directory without ever entering one: if something should still be mounted in it, that stays as it is.
 */
export function removeBundle(bundle: string): void {
  for (const entry of readdirSync(bundle, { withFileTypes: true })) {
    try {
      if (entry.isDirectory()) rmdirSync(`${bundle}/${entry.name}`);
      else unlinkSync(`${bundle}/${entry.name}`);
    } catch {
      // On the executor's tmpfs: it goes with it.
    }
  }
  try {
    rmdirSync(bundle);
  } catch {
    // As above.
  }
}

/** What overlayfs leaves in its work directory: `work`, and in it the mark of a volatile mount, a file. */
export function removeWork(work: string): void {
  try {
    unlinkSync(`${work}/work/incompat/volatile/dirty`);
    for (const path of ['/work/incompat/volatile', '/work/incompat', '/work', '']) rmdirSync(`${work}${path}`);
  } catch {
    removeTree(work);
  }
}
