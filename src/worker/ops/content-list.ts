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

/** For an input that has a content key. Paths are those in the input; one that is read twice may be there twice. */
export async function contentList(
  vertex: Vertex,
  index: number,
  input: Snapshot,
  selections: Selections,
): Promise<Iterable<ContentListEntry>> {
  const { op } = vertex;
  const parts: Iterable<ContentListEntry>[] = [];
  if (op.kind === 'file') await listCopies(parts, vertex, op.actions, index, input, selections);
  if (op.kind === 'exec') await listMounts(parts, vertex, op.mounts, index, input);
  return joined(parts);
}

function* joined<T>(parts: readonly Iterable<T>[]): Generator<T> {
  for (const part of parts) yield* part;
}

async function listCopies(
  parts: Iterable<ContentListEntry>[],
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
        if (!contents) parts.push([listEntry(top, facts, digests)]);
        parts.push(listRows(rows, facts, digests));
      }
    }
    if (action.kind === 'rm') continue;
    if (readsNames(action.owner?.user, index)) parts.push(await listFile(input.files, PASSWD));
    if (readsNames(action.owner?.group, index)) parts.push(await listFile(input.files, GROUP));
  }
}

async function listMounts(
  parts: Iterable<ContentListEntry>[],
  vertex: Vertex,
  all: readonly Mount[],
  index: number,
  input: Snapshot,
): Promise<void> {
  const source = { tree: input.files, snapshot: input, vertex: vertex.inputs[index]?.vertex };
  for (const mount of contentMounts(all, index) ?? []) {
    const { rows, digests } = await selectMounted(source, mount.selector ?? '/');
    parts.push(listRows(rows, ALL_FACTS, digests));
  }
}

async function listFile(tree: FileTree, path: string): Promise<readonly ContentListEntry[]> {
  const found = await resolvePath(tree, path);
  if (found.entry?.type !== 'file') return [];
  const [digest] = await tree.digests([found.path]);
  return [{ path: found.path, type: 'file', digest: digest?.slice(7, 23) }];
}

function* listRows(
  rows: Iterable<SelectedRow>,
  facts: Facts,
  digests: ReadonlyMap<TreePath, Digest>,
): Generator<ContentListEntry> {
  for (const row of rows) yield listEntry(row, facts, digests);
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
