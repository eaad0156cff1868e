/**
 * The copy action: what was selected becomes entries of the layer (BuildKit: tonistiigi/fsutil copy.go, copy_linux.go).
 * The rules that people trip over are in the tests beside this file, one a row.
 */
import { BuildError, EMPTY_DIGEST } from '../../contracts/index.ts';
import type { Digest, FileEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import type { CopyAction } from '../../llb/index.ts';
import { rowsWithoutDigest } from '../../store/index.ts';
import { makeDirectories, stampOf } from './make.ts';
import type { Making, Stamp } from './make.ts';
import { modeChangeOf } from './mode.ts';
import type { ModeChange } from './mode.ts';
import { changeOwner, keptId, type Owner } from './owner.ts';
import { baseName, cleanDestination, joinPath, parentPath, resolveDestination, splitPath } from './path.ts';
import { linkGroup } from './select.ts';
import type { SelectedRow, SelectedSource, Selection } from './select.ts';
import { StagedTree } from './staged-tree.ts';
import type { Origin } from './origins.ts';

/** Of directories that a copy makes on its way, without a numeric `--chmod`. */
const DIRECTORY_MODE = 0o755;

/** What one copy does to each entry it takes. */
interface Change {
  readonly owner: Owner | undefined;
  readonly mode: ModeChange | undefined;
  /** Undefined = the source's. */
  readonly stamp: Stamp | undefined;
}

/** Tries to unpack the source at its destination instead; true when it was an archive. */
export type Unpack = (source: SelectedSource) => Promise<boolean>;

/** @throws BuildError `copy` when a file would replace a directory, a directory something else, and the like. */
export async function copySources(
  staged: StagedTree,
  selection: Selection,
  action: CopyAction,
  making: Making,
  unpack: Unpack | undefined,
): Promise<void> {
  if (!action.createDestPath) await requireParent(staged, action.dest);
  const change: Change = { owner: making.owner, mode: modeChangeOf(action), stamp: stampOf(action.timestamp) };
  const digests = await selection.digests();
  for (const source of selection.sources) {
    if (unpack !== undefined && (await unpack(source))) continue;
    const { linked } = source;
    const copy: Copy = { staged, selection, action, change, making, digests, linked, links: new Map() };
    await copySource(copy, source);
  }
}

interface Copy {
  readonly staged: StagedTree;
  readonly selection: Selection;
  readonly action: CopyAction;
  readonly change: Change;
  readonly making: Making;
  readonly digests: ReadonlyMap<TreePath, Digest>;
  /** Groups of files with several names among what is copied; see {@link linkGroup}. */
  readonly linked: ReadonlySet<TreePath>;
  /** First copy of each of them; links are kept within one source, not between the matches of a wildcard. */
  readonly links: Map<TreePath, TreePath>;
}

async function requireParent(staged: StagedTree, dest: string): Promise<void> {
  const { path } = await resolveDestination(staged, dest);
  const parent = parentPath(path);
  if (path === '' || parent === '' || (await staged.lookup(parent)) !== undefined) return;
  throw new BuildError({ code: 'copy', message: `there is no directory /${parent} to copy to` });
}

async function copySource(copy: Copy, source: SelectedSource): Promise<void> {
  const { staged, action, making } = copy;
  // A numeric --chmod holds for the directories on the way too, without its set-id and sticky bits.
  const mode = action.modeStr || action.mode === -1 ? DIRECTORY_MODE : action.mode & 0o777;
  const dest = cleanDestination(action.dest);
  const [directory, file] = splitPath(dest);
  const above = await resolveDestination(staged, file === '' || file === '.' ? dest : directory);
  await makeDirectories(staged, above.path, mode, making);

  const resolved = await resolveDestination(staged, dest);
  const isDirectory = source.top.entry.type === 'directory';
  let target = resolved.path;
  const existing = target === '' ? resolved.entry : await staged.lookup(target);
  const inside = isDirectory ? !action.dirCopyContents && existing !== undefined : existing?.type === 'directory';
  if (inside) target = joinPath(target, baseName(source.named));
  const contentsOfNew = isDirectory && action.dirCopyContents && existing === undefined;
  await makeDirectories(staged, contentsOfNew ? target : parentPath(target), mode, making);

  if (isDirectory) await copyDirectory(copy, source, target);
  else await copyOther(copy, source.top, target, await staged.lookup(target));
}

async function copyDirectory(copy: Copy, source: SelectedSource, target: TreePath): Promise<void> {
  const { staged, change } = copy;
  const { top, rows } = source;
  const existing = await replaceable(copy, target, top.entry);
  if (existing === undefined && target !== '') put(copy, top, target, undefined);
  else if (existing?.type === 'directory') {
    // An existing top directory keeps all but its time, which becomes the source's.
    const { mtime, mtimeNsec } = change.stamp ?? top.entry;
    staged.put(target, { ...existing, mtime, mtimeNsec }, existing);
  }
  if (await graft(copy, source, target)) return;
  /** Names that are there already, by directory; nothing for directories that hold only what this op made. */
  const listed = new Map<TreePath, ReadonlySet<string>>();
  const prefix = target === '' ? '' : `${target}/`;
  let directory = target;
  let fresh = staged.isFresh(directory);
  for (const row of rows) {
    const path = prefix + row.name;
    const slash = path.lastIndexOf('/');
    // Rows of one directory come one after the other.
    if (Math.max(slash, 0) !== directory.length || !path.startsWith(directory)) {
      directory = slash < 0 ? '' : path.slice(0, slash);
      fresh = staged.isFresh(directory);
    }
    let known: NodeEntry | undefined;
    if (fresh) known = staged.peek(path);
    else {
      let names = listed.get(directory);
      if (names === undefined) listed.set(directory, (names = new Set(await staged.list(directory))));
      if (names.has(path.slice(slash + 1))) known = await staged.lookup(path);
    }
    if (known === undefined) put(copy, row, path, undefined);
    else if (row.entry.type !== 'directory') await copyOther(copy, row, path, known);
    else await copyNested(copy, row, path, known);
  }
}

/** Copies all of it at once into a directory in which nothing is. */
async function graft(copy: Copy, { top, table }: SelectedSource, target: TreePath): Promise<boolean> {
  const { staged, change, digests, selection } = copy;
  if (table === undefined || (await staged.list(target))?.length !== 0) return false;
  const prefix = top.path === '' ? '' : `${top.path}/`;
  for (const row of rowsWithoutDigest(table)) {
    const digest = digests.get(prefix + table.pathAt(row));
    if (digest === undefined) return false;
    table.setDigest(row, digest);
  }
  for (let row = 0; row < table.size; row++) if (table.typeAt(row) === 'socket') return false;
  const { owner, mode, stamp } = change;
  const ids = { uid: keptId(owner?.uid), gid: keptId(owner?.gid) };
  return staged.graft(target, table, { ...ids, ...stamp, mode }, selection.tree, top.path);
}

/** A directory below the source: made, or merged with the one that is there, which takes the source's metadata. */
async function copyNested(copy: Copy, row: SelectedRow, path: TreePath, known: NodeEntry | undefined): Promise<void> {
  const existing = known === undefined ? undefined : await replaceable(copy, path, row.entry, known);
  if (existing?.type !== 'directory' || !row.held) put(copy, row, path, existing);
  else copy.staged.put(path, { ...existing, mode: row.entry.mode }, existing);
}

/** What stays at `path` when `entry` comes there: a directory for a directory; anything else is an error or removed. */
async function replaceable(
  { staged, action }: Copy,
  path: TreePath,
  entry: NodeEntry,
  known?: NodeEntry,
): Promise<NodeEntry | undefined> {
  const existing = known ?? (await staged.lookup(path));
  if (existing === undefined || (existing.type === 'directory' && entry.type === 'directory')) return existing;
  if (action.alwaysReplaceExistingDestPaths || (existing.type !== 'directory' && entry.type !== 'directory')) {
    if (existing.type === 'directory' || entry.type === 'directory') {
      await staged.remove(path);
      return undefined;
    }
    return existing;
  }
  throw existing.type === 'directory'
    ? new BuildError({
        code: 'copy',
        message: `a file cannot replace the directory /${path}`,
        hint: 'Name the file that is to be written, or remove the directory in an earlier step.',
      })
    : new BuildError({
        code: 'copy',
        message: `a directory cannot replace ${nameOf(existing)} /${path}`,
        hint: 'Remove it in an earlier step, or copy to where it leads.',
      });
}

function nameOf(entry: NodeEntry): string {
  return entry.type === 'symlink' ? 'the symbolic link' : entry.type === 'file' ? 'the file' : `the ${entry.type}`;
}

async function copyOther(copy: Copy, row: SelectedRow, path: TreePath, known: NodeEntry | undefined): Promise<void> {
  const existing = known === undefined ? undefined : await replaceable(copy, path, row.entry, known);
  put(copy, row, path, existing);
}

/** Stages one entry with the copy's owner, mode and time on it. */
function put(copy: Copy, row: SelectedRow, path: TreePath, existing: NodeEntry | undefined): void {
  const { entry } = row;
  if (entry.type === 'file') {
    putFile(copy, row.path, entry, path, existing);
    return;
  }
  const changed = changeEntry(entry.type === 'socket' ? emptyFile(entry) : entry, copy.change);
  if (changed.type === 'directory') {
    // Existing extended attributes stay beside those of the source.
    const xattrs = mergeXattrs(existing?.type === 'directory' ? existing.xattrs : undefined, changed.xattrs);
    copy.staged.put(path, xattrs === changed.xattrs ? changed : { ...changed, xattrs }, existing);
  } else copy.staged.put(path, changed, existing, changed.type === 'file' ? NOTHING : undefined);
}

const NOTHING: Origin = { kind: 'fixed', location: { kind: 'bytes', data: new Uint8Array() } };
/** A socket is copied as an empty file, as fsutil's mknod without a type leaves it. */
function emptyFile(entry: NodeEntry): FileEntry {
  return { ...entry, type: 'file', size: 0, digest: EMPTY_DIGEST };
}

function putFile(copy: Copy, from: TreePath, entry: FileEntry, path: TreePath, existing: NodeEntry | undefined): void {
  const { staged, change, digests, links, selection } = copy;
  const digest = entry.digest ?? digests.get(from);
  const group = linkGroup(from, entry);
  const isLinked = copy.linked.has(group);
  const first = isLinked ? links.get(group) : undefined;
  // Both names may end in one place when sources overlap; a file is not its own link.
  const hardlink = first === undefined || first === path ? undefined : staged.firstName(first);
  if (isLinked && first === undefined) links.set(group, path);
  const isSame = entry.digest === digest && entry.hardlink === hardlink;
  const changed = changeEntry(isSame ? entry : { ...entry, digest, hardlink }, change);
  const { tree } = selection;
  const origin: Origin = tree instanceof StagedTree ? tree.originOf(from) : { kind: 'tree', tree, path: from };
  staged.put(path, changed, existing, origin);
}

function changeEntry<T extends NodeEntry>(entry: T, { owner, mode, stamp }: Change): T {
  if (owner === undefined && mode === undefined && stamp === undefined) return entry;
  return {
    ...entry,
    ...changeOwner(entry, owner),
    ...stamp,
    ...(mode !== undefined && entry.type !== 'symlink'
      ? { mode: mode(entry.mode, entry.type === 'directory') }
      : undefined),
  };
}

function mergeXattrs(existing: NodeEntry['xattrs'], added: NodeEntry['xattrs']): NodeEntry['xattrs'] {
  if (existing === undefined) return added;
  if (added === undefined) return existing;
  return new Map([...existing, ...added].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
