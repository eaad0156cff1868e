/**
 * ADD of an archive: its entries instead of the file (BuildKit 0.32: solver/llbsolver/file/unpack.go, which has
 * moby/go-archive unpack in a chroot of the destination). The destination is the archive's root: `..` in a name or a link
 * ends there, an absolute link begins there, so that nothing leads out of it.
 */
import { BuildError } from '../../contracts/index.ts';
import type { FileEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import { readTar } from '../../image/index.ts';
import type { TarEntry, TarHeader } from '../../image/index.ts';
import type { CopyAction } from '../../llb/index.ts';
import { openArchive } from './archive.ts';
import type { Contents } from './contents.ts';
import type { Unpack } from './copy.ts';
import { makeDirectories } from './make.ts';
import type { Making } from './make.ts';
import { joinPath, parentPath, resolveDestination, treePath } from './path.ts';
import { changeOwner, type Owner } from './owner.ts';
import type { SelectedSource, Selection } from './select.ts';
import type { StagedTree } from './staged-tree.ts';

export interface Unpacking {
  readonly staged: StagedTree;
  readonly selection: Selection;
  readonly action: CopyAction;
  readonly making: Making;
  readonly contents: Contents;
  readonly signal: AbortSignal;
}

const DIRECTORY_MODE = 0o755;
const ROOT: Owner = { uid: 0, gid: 0 };
/** As many links as one name may lead through. */
const MAX_LINKS = 255;
/** The last second that Go's UnixNano can say; what is beyond counts as no time. */
const MAX_TIME = 9_223_372_036;

/** @returns What unpacks a source that is an archive, and says so; it leaves any other alone. */
export function unpackerFor(unpacking: Unpacking): Unpack {
  return async (source: SelectedSource) => {
    const { selection, staged, action, making, signal } = unpacking;
    const { path, entry } = source.top;
    if (entry.type !== 'file') return false;
    const [location] = await selection.tree.locate([path]);
    const digest = entry.digest ?? (await selection.digests()).get(path);
    if (location === undefined) return false;
    const archive = await openArchive(location, digest, source.named, signal);
    if (archive === undefined) return false;
    const { path: root } = await resolveDestination(staged, action.dest);
    await makeDirectories(staged, root, DIRECTORY_MODE, making);
    for await (const tarEntry of readTar(archive.stream)) {
      signal.throwIfAborted();
      await unpackEntry(unpacking, root, tarEntry);
    }
    await archive.verify();
    return true;
  };
}

async function unpackEntry(unpacking: Unpacking, root: TreePath, { header, body }: TarEntry): Promise<void> {
  const { staged, making } = unpacking;
  const { type } = header;
  if (leadsOut(header.name)) throw hostile(`an entry of the archive leads out of it: ${JSON.stringify(header.name)}`);
  const name = treePath(header.name);
  if (name === '') return;
  const path = await resolveInside(staged, root, name);
  if (path === root) return;
  await makeDirectories(staged, parentPath(path), DIRECTORY_MODE, { owner: ROOT, stamp: making.stamp });
  let existing = await staged.lookup(path);
  if (existing !== undefined && (existing.type === 'directory') !== (type === 'directory')) {
    await staged.remove(path);
    existing = undefined;
  }
  const meta = metaOf(header, making.owner);
  switch (type) {
    case 'directory':
      staged.put(path, { type, ...meta, xattrs: withXattrs(existing, meta.xattrs) }, existing);
      return;
    case 'symlink':
      staged.put(path, { type, target: header.target, ...meta, mode: 0o777 }, existing);
      return;
    case 'file': {
      const { size, digest, location } = await unpacking.contents.keep(body);
      staged.put(path, { type, size, digest, ...meta }, existing, { kind: 'fixed', location });
      return;
    }
    case 'char-device':
    case 'block-device':
      staged.put(path, { type, major: header.major, minor: header.minor, ...meta }, existing);
      return;
    case 'fifo':
      staged.put(path, { type, ...meta }, existing);
      return;
    case 'hardlink':
      if (existing !== undefined) await staged.remove(path);
      await linkTo(staged, path, await resolveInside(staged, root, treePath(header.target)), header, making.owner);
      return;
  }
}

type Meta = Pick<FileEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNsec' | 'xattrs'>;

function metaOf({ mode, uid, gid, mtime, mtimeNsec, xattrs }: TarHeader, owner: Owner | undefined): Meta {
  const inRange = mtime >= 0 && mtime < MAX_TIME;
  const time = inRange ? { mtime, mtimeNsec } : { mtime: 0, mtimeNsec: 0 };
  return { mode: mode & 0o7777, ...(owner === undefined ? { uid, gid } : changeOwner(ROOT, owner)), ...time, xattrs };
}

function withXattrs(existing: NodeEntry | undefined, added: NodeEntry['xattrs']): NodeEntry['xattrs'] {
  if (existing?.xattrs === undefined || added === undefined) return added ?? existing?.xattrs;
  return new Map([...existing.xattrs, ...added].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** Another name for a file that is there; the archive's metadata of the link holds for all its names. */
async function linkTo(
  staged: StagedTree,
  path: TreePath,
  target: TreePath,
  header: TarHeader,
  owner: Owner | undefined,
): Promise<void> {
  const entry = await staged.lookup(target);
  if (entry === undefined || entry.type === 'directory') {
    throw hostile(`the archive links ${header.name} to ${header.target}, which is no file in it`);
  }
  const meta = metaOf(header, owner);
  if (entry.type !== 'file') {
    // Trees have no hard links between other things than files: a second one is as good.
    staged.put(path, { ...entry, uid: meta.uid, gid: meta.gid }, undefined);
    return;
  }
  if (staged.peek(target) === undefined) {
    // A file of the layers below: the link needs it in this layer.
    const [digest] = await staged.digests([target]);
    staged.put(target, { ...entry, digest, hardlink: undefined }, undefined, staged.originOf(target));
  }
  const change = (file: FileEntry): FileEntry => ({ ...file, ...meta, xattrs: withXattrs(file, meta.xattrs) });
  staged.update(target, change);
  const linked = staged.peek(target);
  if (linked?.type === 'file') staged.put(path, { ...linked, hardlink: staged.firstName(target) }, undefined);
}

/** Follows links in `name` but for the last part, as in a root of its own: `..` and absolute links end at `root`. */
async function resolveInside(staged: StagedTree, root: TreePath, name: string): Promise<TreePath> {
  let rest = name.split('/');
  let resolved: string[] = [];
  let links = 0;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const entry = rest.length === 0 ? undefined : await staged.lookup(joinPath(root, [...resolved, part].join('/')));
    if (entry?.type === 'symlink') {
      if (++links > MAX_LINKS) {
        throw hostile(`the archive's entry ${JSON.stringify(name)} leads through too many links`);
      }
      if (entry.target.startsWith('/')) resolved = [];
      rest = [...entry.target.split('/'), ...rest];
    } else if (entry !== undefined && entry.type !== 'directory') {
      throw hostile(`the archive's entry ${JSON.stringify(name)} lies below a file`);
    } else resolved.push(part);
  }
  return joinPath(root, resolved.join('/'));
}

/** More `..` than names before them. BuildKit refuses these, too; a leading slash means the destination. */
function leadsOut(name: string): boolean {
  if (name.startsWith('/')) return false;
  let depth = 0;
  return name.split('/').some((part) => {
    if (part === '..') depth--;
    else if (part !== '' && part !== '.') depth++;
    return depth < 0;
  });
}

function hostile(message: string): BuildError {
  return new BuildError({ code: 'hostile', message });
}
