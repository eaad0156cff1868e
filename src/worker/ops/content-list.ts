/**
 * What is behind a content key, path by path: kept once for each new key, so that a later build can say which file of
 * thousands changed. The same rows as in `content-key.ts`, with what counts of each.
 */
import type { Digest, FileTree, Snapshot, TreePath } from '../../contracts/index.ts';
import { entryTarget, xattrsDigest } from '../../image/index.ts';
import type { FileAction, Mount, Vertex } from '../../llb/index.ts';
import type { ContentListEntry } from '../../store/index.ts';
import { ALL_FACTS, contentMounts, copyFacts, factsOfRow, readsNames, selectMounted } from './content-key.ts';
import type { Facts } from './content-key.ts';
import { GROUP, PASSWD } from './owner.ts';
import { resolvePath } from './path.ts';
import type { SelectedRow } from './select.ts';
import type { Selections } from './selections.ts';

/** For an input that has a content key. Paths are those in the input. */
export async function contentList(
  vertex: Vertex,
  index: number,
  input: Snapshot,
  selections: Selections,
): Promise<readonly ContentListEntry[]> {
  const entries = new Map<TreePath, ContentListEntry>();
  const { op } = vertex;
  if (op.kind === 'file') await listCopies(entries, vertex, op.actions, index, input, selections);
  if (op.kind === 'exec') await listMounts(entries, vertex, op.mounts, index, input);
  return [...entries.values()];
}

async function listCopies(
  entries: Map<TreePath, ContentListEntry>,
  vertex: Vertex,
  actions: readonly FileAction[],
  index: number,
  input: Snapshot,
  selections: Selections,
): Promise<void> {
  for (const [at, { secondaryInput, action }] of actions.entries()) {
    if (action.kind === 'copy' && secondaryInput === index) {
      const source = { tree: input.files, snapshot: input, vertex: vertex.inputs[index]?.vertex };
      const selection = await selections.select(vertex, at, source, action);
      const digests = await selection.digests();
      const facts = copyFacts(action);
      for (const { top, rows } of selection.sources) {
        // Of a directory whose contents are copied, neither mode nor owner count.
        const contents = top.entry.type === 'directory' && action.dirCopyContents;
        if (!contents) entries.set(top.path, listEntry(top, facts, digests));
        for (const row of rows) entries.set(row.path, listEntry(row, facts, digests));
      }
    }
    if (action.kind === 'rm') continue;
    if (readsNames(action.owner?.user, index)) await listFile(entries, input.files, PASSWD);
    if (readsNames(action.owner?.group, index)) await listFile(entries, input.files, GROUP);
  }
}

async function listMounts(
  entries: Map<TreePath, ContentListEntry>,
  vertex: Vertex,
  all: readonly Mount[],
  index: number,
  input: Snapshot,
): Promise<void> {
  const source = { tree: input.files, snapshot: input, vertex: vertex.inputs[index]?.vertex };
  for (const mount of contentMounts(all, index) ?? []) {
    const { rows, digests } = await selectMounted(source, mount.selector ?? '/');
    for (const row of rows) entries.set(row.path, listEntry(row, ALL_FACTS, digests));
  }
}

async function listFile(entries: Map<TreePath, ContentListEntry>, tree: FileTree, path: string): Promise<void> {
  const found = await resolvePath(tree, path);
  if (found.entry?.type !== 'file') return;
  const [digest] = await tree.digests([found.path]);
  entries.set(found.path, { path: found.path, type: 'file', digest: digest?.slice(7, 23) });
}

function listEntry(row: SelectedRow, all: Facts, digests: ReadonlyMap<TreePath, Digest>): ContentListEntry {
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
    digest: digest?.slice(7, 23),
  };
}
