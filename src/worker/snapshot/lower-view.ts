import type { ExactStat } from '../../sys/stat.ts';
import { lstat } from '../../sys/stat.ts';
import { isOpaque, isWhiteout } from './whiteout.ts';

/** What lies below an upper directory's entry of some name. */
export interface LowerNode {
  readonly stat: ExactStat;
  /** Host path of the entry that shows. */
  readonly path: string;
  /** Where it is a directory: the directories that are merged into it, top to bottom. */
  readonly directories: readonly string[];
}

/**
 * The merged view of layer directories, one name at a time, as overlayfs computes it. No mount, and no symbolic link is
 * ever followed: only directories are entered.
 *
 * @param directories Directories that are merged, top to bottom, none of them hidden by a whiteout.
 */
export function lookupLower(directories: readonly string[], name: string): LowerNode | undefined {
  let stat: ExactStat | undefined;
  let path = '';
  const merged: string[] = [];
  for (const directory of directories) {
    const candidate = `${directory}/${name}`;
    const found = lstat(candidate);
    if (found === undefined) continue;
    if (isWhiteout(found)) break;
    if (found.type !== 'directory') {
      if (stat === undefined) return { stat: found, path: candidate, directories: [] };
      break;
    }
    if (stat === undefined) {
      stat = found;
      path = candidate;
    }
    merged.push(candidate);
    if (isOpaque(candidate)) break;
  }
  return stat === undefined ? undefined : { stat, path, directories: merged };
}
