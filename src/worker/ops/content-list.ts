/**
 * What is behind a content key, path by path: kept once for each new key, so that a later build can say which file of
 * thousands changed. Written with the key, row by row, with what counts of each.
 */
import type { Digest, TreePath } from '../../contracts/index.ts';
import { entryTarget, xattrsDigest } from '../../image/index.ts';
import type { ContentListEntry } from '../../store/index.ts';
import { factsOfRow } from './facts.ts';
import type { Facts } from './facts.ts';
import type { SelectedRow } from './select.ts';

/** Digits of a digest that tell two versions of a file apart. */
export function listedDigest(digest: Digest | undefined): string | undefined {
  return digest?.slice(7, 23);
}

/** The path is that in the input. */
export function listEntry(row: SelectedRow, all: Facts, digests: ReadonlyMap<TreePath, Digest>): ContentListEntry {
  const { path, entry } = row;
  const facts = factsOfRow(row, all);
  const digest = entry.type === 'file' ? (entry.digest ?? digests.get(path)) : undefined;
  const { mode: change } = facts;
  const counts = entry.type !== 'symlink' && !facts.modeFixed;
  return {
    path,
    type: entry.type,
    mode: !counts ? undefined : change === undefined ? entry.mode : change(entry.mode, entry.type === 'directory'),
    owner: facts.owner ? `${entry.uid}:${entry.gid}` : undefined,
    target: entryTarget(entry),
    xattrs: xattrsDigest(entry.xattrs),
    digest: listedDigest(digest),
  };
}
