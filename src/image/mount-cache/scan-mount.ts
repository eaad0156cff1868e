import { closeSync, constants } from 'node:fs';
import type { TreePath } from '../../contracts/index.ts';
import { compareTreePaths } from '../../store/index.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';
import { readNames } from '../../sys/path.ts';
import type { ExactStat } from '../../sys/stat.ts';

/** By path, parents before children, `''` first; symbolic links with their text. */
export type ScannedMount = ReadonlyMap<TreePath, { readonly stat: ExactStat; readonly target?: string | undefined }>;

/** Files that were being written when a process died (source/cache-mounts/write-mount.ts). */
const UNFINISHED = /^\.slipway-[0-9a-f]{12}$/;
/** Entries between two turns of the event loop. */
const TURN = 2000;

/**
 * Everything in a cache mount that travels. Other steps may be at work in it: what is gone meanwhile is left out, and a
 * directory that has become a link leads nowhere.
 */
export async function scanMount(root: ConfinedRoot, signal: AbortSignal): Promise<ScannedMount> {
  const found = new Map<TreePath, { readonly stat: ExactStat; readonly target?: string | undefined }>();
  const top = root.lstat('');
  if (top === undefined) return found;
  found.set('', { stat: top });
  const stack: { readonly path: TreePath; readonly names: string[] }[] = [{ path: '', names: namesIn(root, '') }];
  let count = 0;
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const name = level.names.pop();
    if (name === undefined) {
      stack.pop();
      continue;
    }
    if (++count % TURN === 0) await turn(signal);
    if (UNFINISHED.test(name)) continue;
    const path = level.path === '' ? name : `${level.path}/${name}`;
    const stat = quietly(() => root.lstat(path));
    if (stat === undefined) continue;
    if (stat.type === 'symlink') {
      const target = quietly(() => root.readlink(path));
      if (target !== undefined) found.set(path, { stat, target });
    } else if (stat.type === 'file' || stat.type === 'directory') {
      found.set(path, { stat });
      if (stat.type === 'directory') stack.push({ path, names: namesIn(root, path) });
    }
  }
  return found;
}

/** The last first: they are taken from the end. */
function namesIn(root: ConfinedRoot, path: TreePath): string[] {
  const fd = quietly(() => root.open(path, constants.O_RDONLY | constants.O_DIRECTORY));
  if (fd === undefined) return [];
  try {
    return [...readNames(`/proc/self/fd/${fd}`)].sort((a, b) => compareTreePaths(b, a));
  } finally {
    closeSync(fd);
  }
}

function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

export async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve) => setImmediate(resolve));
}
