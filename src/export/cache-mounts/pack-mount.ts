import { closeSync, openSync, writeSync } from 'node:fs';
import type { Digest, ExportContext, TreePath } from '../../contracts/index.ts';
import { stampOf } from '../../image/index.ts';
import type { MountEntry, MountIndex, MountPack, ScannedMount, SyncedState } from '../../image/index.ts';
import type { Store } from '../../store/index.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';
import { asBuildError } from '../../sys/errno.ts';
import { reportProgress } from '../progress-report.ts';
import { groupContents, keptPacks } from './plan-packs.ts';
import { digestFile, makePack } from './read-files.ts';
import type { Content } from './read-files.ts';
import type { SaveMount } from './types.ts';

export interface NewPack extends MountPack {
  /** A temporary file. */
  readonly path: string;
}

export interface PackedMount {
  /** What is here. */
  readonly own: ReadonlyMap<TreePath, MountEntry>;
  /** All that is to be there: also what others added. */
  readonly index: MountIndex;
  readonly made: readonly NewPack[];
}

export interface PackInput {
  readonly root: ConfinedRoot;
  /** What of the directory travels, and all of it. */
  readonly travelling: ScannedMount;
  readonly scanned: ScannedMount;
  readonly base: SyncedState | undefined;
}

/**
 * Finds out what no pack there holds, and packs it. A file that is as it was when both were in step is not read; one that has the size
 * of something there is hashed first, as tools like to touch files.
 */
export async function packMount(
  { root, travelling, scanned, base }: PackInput,
  mount: SaveMount,
  store: Store,
  { events, signal }: ExportContext,
): Promise<PackedMount> {
  const known = mount.current?.index.packs ?? [];
  const contents = contentsOf(root, travelling, base, known);
  const others = othersEntries(scanned, base, mount);

  const alive = new Map<Digest, number>();
  const here = new Set<Digest>();
  for (const content of contents.values()) {
    if (content === undefined || content.size === 0) continue;
    alive.set(content.digest, content.size);
    here.add(content.digest);
  }
  for (const entry of others.values()) if (entry.type === 'file' && entry.size > 0) alive.set(entry.digest, entry.size);
  const kept = keptPacks(known, alive, here);

  const held = contentsIn(kept);
  const wanted: { readonly path: TreePath; readonly size: number }[] = [];
  let bytes = 0;
  for (const [path, content] of contents) {
    const size = travelling.get(path)?.stat.size ?? 0;
    bytes += size;
    if (content !== undefined && (content.size === 0 || held.has(content.digest))) continue;
    if (content !== undefined) held.add(content.digest);
    wanted.push({ path, size });
  }

  const total = wanted.reduce((sum, { size }) => sum + size, 0);
  const progress = reportProgress(events, `packing ${mount.name}`, 'packing files');
  const made: NewPack[] = [];
  let done = 0;
  for (const group of groupContents(wanted, bytes)) {
    const path = store.tempPath('.pack');
    const one = await packInto(path, root, group, contents, signal);
    made.push(one);
    progress.update((done += group.reduce((sum, { size }) => sum + size, 0)), total);
  }
  progress.done();

  const packs = [...kept, ...made.map(({ digest, size, contents: inPack }) => ({ digest, size, contents: inPack }))];
  const own = entriesOf(travelling, contents, contentsIn(packs));
  return { own, index: { entries: new Map([...own, ...others]), packs }, made };
}

/** By path; undefined = not known before it is packed. */
function contentsOf(
  root: ConfinedRoot,
  scanned: ScannedMount,
  base: SyncedState | undefined,
  packs: readonly MountPack[],
): Map<TreePath, Content | undefined> {
  const sizes = new Set(packs.flatMap(({ contents }) => contents.map(({ size }) => size)));
  const found = new Map<TreePath, Content | undefined>();
  for (const [path, { stat }] of scanned) {
    if (stat.type !== 'file') continue;
    const before = base?.index.entries.get(path);
    if (before?.type === 'file' && base?.stamps.get(path) === stampOf(stat)) found.set(path, before);
    else if (sizes.has(stat.size) || stat.size === 0) found.set(path, digestFile(root, path));
    else found.set(path, undefined);
  }
  return found;
}

async function packInto(
  path: string,
  root: ConfinedRoot,
  group: readonly { readonly path: TreePath }[],
  contents: Map<TreePath, Content | undefined>,
  signal: AbortSignal,
): Promise<NewPack> {
  const fd = openSync(path, 'wx', 0o600);
  try {
    const paths = group.map((item) => item.path);
    const write = (data: Uint8Array): void => {
      for (let at = 0; at < data.length;) at += writeSync(fd, data, at, data.length - at);
    };
    const { found, digest, size, contents: inPack } = await makePack(root, paths, write, signal);
    for (const [i, own] of paths.entries()) contents.set(own, found[i]);
    return { digest, size, contents: inPack, path };
  } catch (error) {
    throw asBuildError(error);
  } finally {
    closeSync(fd);
  }
}

/** What went while it was packed, or changed so that nothing holds it, is left out. */
function entriesOf(
  scanned: ScannedMount,
  contents: ReadonlyMap<TreePath, Content | undefined>,
  held: ReadonlySet<Digest>,
): ReadonlyMap<TreePath, MountEntry> {
  const entries = new Map<TreePath, MountEntry>();
  for (const [path, { stat, target }] of scanned) {
    const { mode, uid, gid, mtime, mtimeNsec } = stat;
    const meta = { mode, uid, gid, mtime, mtimeNsec };
    if (stat.type === 'directory') entries.set(path, { ...meta, type: 'directory' });
    else if (stat.type === 'symlink') entries.set(path, { ...meta, type: 'symlink', target: target ?? '' });
    else {
      const content = contents.get(path);
      if (content === undefined || (content.size > 0 && !held.has(content.digest))) continue;
      entries.set(path, { ...meta, type: 'file', digest: content.digest, size: content.size });
    }
  }
  return entries;
}

/** What others added since this machine was last in step with the same place: it is not here, and stays there. */
function othersEntries(
  scanned: ScannedMount,
  base: SyncedState | undefined,
  { name, current }: SaveMount,
): ReadonlyMap<TreePath, MountEntry> {
  const others = new Map<TreePath, MountEntry>();
  if (base?.place !== name || current === undefined || current.digest === base.manifest) return others;
  for (const [path, entry] of current.index.entries) {
    if (scanned.has(path) || base.index.entries.has(path)) continue;
    const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
    const isHeld = scanned.get(parent)?.stat.type === 'directory' || others.get(parent)?.type === 'directory';
    if (isHeld) others.set(path, entry);
  }
  return others;
}

function contentsIn(packs: readonly MountPack[]): Set<Digest> {
  return new Set(packs.flatMap(({ contents }) => contents.map(({ digest }) => digest)));
}
