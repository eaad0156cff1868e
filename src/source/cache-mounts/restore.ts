import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TreePath } from '../../contracts/index.ts';
import { readSynced, scanMount, stampOf, writeSynced } from '../../image/index.ts';
import type { MountIndex, SyncedState } from '../../image/index.ts';
import { openConfined } from '../../sys/confined.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';
import { removeTree } from '../../sys/remove.ts';
import { utimens } from '../../sys/stat.ts';
import { planAll, planMerge } from './plan-merge.ts';
import type { FoundMount } from './types.ts';
import { writeMount } from './write-mount.ts';

/** After this a further change of a file changes its times, milliseconds. */
const TICK = 25;

export interface RestoreOptions {
  readonly signal: AbortSignal;
  /** Compressed bytes so far, and in all. */
  readonly onProgress: (bytes: number, total: number) => void;
}

/**
 * Brings a cache mount to what it is elsewhere: all of it where there is nothing yet, else what changed there since.
 *
 * @param slot The mount's directory, held alone; content is in its `fs`.
 * @returns False when there was nothing to do.
 */
export async function restoreMount(slot: string, found: FoundMount, options: RestoreOptions): Promise<boolean> {
  const content = `${slot}/fs`;
  const isEmpty = !existsSync(content) || readdirSync(content).length === 0;
  if (isEmpty) {
    await restoreAll(slot, await found.index(), found, options);
    return true;
  }
  const root = openConfined(content);
  try {
    const inode = String(root.lstat('')?.ino ?? '');
    const known = await readSynced(slot);
    const base = known?.root === inode && known.place === found.name ? known : undefined;
    if (base?.manifest === found.digest) return false;
    const index = await found.index();
    const plan = planMerge(await scanMount(root, options.signal), base, index);
    await writeMount(root, plan, index, found, { ...options, fresh: false });
    await remember(root, slot, { place: found.name, manifest: found.digest, index, root: inode }, plan.inStep);
    return true;
  } finally {
    root.close();
  }
}

/** Under another name until it is whole. */
async function restoreAll(slot: string, index: MountIndex, found: FoundMount, options: RestoreOptions): Promise<void> {
  const draft = `${slot}/fs.new`;
  removeTree(draft);
  mkdirSync(draft, { mode: 0o700 });
  const root = openConfined(draft);
  try {
    const plan = planAll(index);
    await writeMount(root, plan, index, found, { ...options, fresh: true });
    const top = index.entries.get('');
    chownSync(draft, top?.uid ?? 0, top?.gid ?? 0);
    chmodSync(draft, top?.mode ?? 0o755);
    if (top !== undefined) utimens(draft, top.mtime, top.mtimeNsec);
    const inode = String(root.lstat('')?.ino ?? '');
    removeTree(`${slot}/fs`);
    renameSync(draft, `${slot}/fs`);
    await remember(root, slot, { place: found.name, manifest: found.digest, index, root: inode }, plan.inStep);
  } finally {
    root.close();
  }
}

async function remember(
  root: ConfinedRoot,
  slot: string,
  state: Omit<SyncedState, 'stamps'>,
  inStep: readonly TreePath[],
): Promise<void> {
  const stamps = new Map<TreePath, string>();
  for (const path of inStep) {
    const stat = root.lstat(path);
    if (stat !== undefined) stamps.set(path, stampOf(stat));
  }
  await writeSynced(slot, { ...state, stamps });
  await sleep(TICK);
}
