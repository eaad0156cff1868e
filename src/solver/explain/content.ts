/** What differs between two lists of what was read. */
import type { ContentListEntry } from '../../store/index.ts';
import type { FileChange } from './types.ts';

export interface FileDifference {
  readonly change: FileChange;
  readonly path: string;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** In order of paths; the content of a file is told before its mode. */
export function compareContentLists(
  before: readonly ContentListEntry[],
  after: readonly ContentListEntry[],
): readonly FileDifference[] {
  const earlier = new Map(before.map((entry) => [entry.path, entry]));
  const differences: FileDifference[] = [];
  for (const entry of after) {
    const other = earlier.get(entry.path);
    earlier.delete(entry.path);
    if (other === undefined) differences.push({ change: 'added', path: entry.path, to: entry.digest });
    else differences.push(...compareEntries(other, entry));
  }
  for (const { path, digest } of earlier.values()) differences.push({ change: 'removed', path, from: digest });
  return differences.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function compareEntries(a: ContentListEntry, b: ContentListEntry): readonly FileDifference[] {
  const { path } = b;
  if (a.type !== b.type) return [{ change: 'type', path, from: a.type, to: b.type }];
  const found: FileDifference[] = [];
  if (a.digest !== b.digest) found.push({ change: 'changed', path, from: a.digest, to: b.digest });
  if (a.target !== b.target) found.push({ change: 'target', path, from: a.target, to: b.target });
  if (a.mode !== b.mode) found.push({ change: 'mode', path, from: octal(a.mode), to: octal(b.mode) });
  if (a.owner !== b.owner) found.push({ change: 'owner', path, from: a.owner, to: b.owner });
  if (a.xattrs !== b.xattrs) found.push({ change: 'xattrs', path, from: a.xattrs, to: b.xattrs });
  return found;
}

function octal(mode: number | undefined): string | undefined {
  return mode?.toString(8).padStart(4, '0');
}
