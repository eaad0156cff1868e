/** The actions that make one thing: mkdir, mkfile, symlink (BuildKit: solver/llbsolver/file/backend.go). */
import { createHash } from 'node:crypto';
import { BuildError } from '../../contracts/index.ts';
import type { Digest, DirectoryEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import type { MkDirAction, MkFileAction, SymlinkAction } from '../../llb/index.ts';
import { changeOwner, type Owner } from './owner.ts';
import { cleanPath, joinPath, notDirectory, parentPath, resolveDestination } from './path.ts';
import type { StagedTree } from './staged-tree.ts';

/** A modification time as trees hold it. */
export interface Stamp {
  readonly mtime: number;
  readonly mtimeNsec: number;
}

/** What every made entry takes on. */
export interface Making {
  /** Undefined = root. */
  readonly owner: Owner | undefined;
  /** Of new directories on the way, and of made files. */
  readonly stamp: Stamp;
}

const NANOSECONDS = 1_000_000_000n;

/** @param timestamp Nanoseconds since the epoch; -1 = none, which gives undefined. */
export function stampOf(timestamp: bigint): Stamp | undefined {
  if (timestamp === -1n) return undefined;
  const nanoseconds = ((timestamp % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  return { mtime: Number((timestamp - nanoseconds) / NANOSECONDS), mtimeNsec: Number(nanoseconds) };
}

/**
 * Makes `path` (links resolved, in tree form) and what is missing above it, each with `mode`, owner and time.
 * @returns The directories that were made, outermost first. Errors: `copy` when something on the way is no directory.
 */
export async function makeDirectories(
  tree: StagedTree,
  path: TreePath,
  mode: number,
  making: Making,
): Promise<readonly TreePath[]> {
  const missing: TreePath[] = [];
  let at = path;
  let parent: NodeEntry | undefined;
  for (; at !== ''; at = parentPath(at)) {
    parent = await tree.lookup(at);
    if (parent !== undefined) break;
    missing.push(at);
  }
  parent ??= await tree.lookup('');
  if (parent !== undefined && parent.type !== 'directory') throw notDirectory(at);
  missing.reverse();
  for (const directory of missing) {
    const entry: DirectoryEntry = { type: 'directory', mode, ...ownerIn(parent, making.owner), ...making.stamp };
    tree.put(directory, entry, undefined);
    parent = entry;
  }
  return missing;
}

/** Owner of what is made without `--chown`: root, and the group of a set-group-id directory, as the kernel has it. */
export function ownerIn(directory: NodeEntry | undefined, owner: Owner | undefined): Owner {
  const inherits = directory?.type === 'directory' && (directory.mode & 0o2000) !== 0;
  return changeOwner({ uid: 0, gid: inherits ? directory.gid : 0 }, owner);
}

export async function makeDirectory(tree: StagedTree, action: MkDirAction, making: Making): Promise<void> {
  const { path } = await resolveDestination(tree, action.path);
  const mode = action.mode & 0o777;
  if (action.makeParents) {
    await makeDirectories(tree, path, mode, making);
    return;
  }
  if (path === '' || (await tree.lookup(path)) !== undefined) return;
  const parent = await existingParent(tree, path);
  tree.put(path, { type: 'directory', mode, ...ownerIn(parent, making.owner), ...making.stamp }, undefined);
}

export async function makeFile(tree: StagedTree, action: MkFileAction, making: Making): Promise<void> {
  const { path, entry } = await resolveDestination(tree, action.path);
  if (path === '' || entry?.type === 'directory') {
    throw new BuildError({ code: 'copy', message: `${cleanPath(action.path)} is a directory, not a file to write` });
  }
  const parent = await existingParent(tree, path);
  const { data } = action;
  const digest: Digest = `sha256:${createHash('sha256').update(data).digest('hex')}`;
  const meta = { mode: action.mode & 0o777, ...ownerIn(parent, making.owner), ...making.stamp };
  const origin = { kind: 'fixed', location: { kind: 'bytes', data } } as const;
  tree.put(path, { type: 'file', size: data.byteLength, digest, ...meta }, entry, origin);
}

export async function makeSymlink(tree: StagedTree, action: SymlinkAction, making: Making): Promise<void> {
  const { path, entry } = await resolveDestination(tree, action.newPath);
  if (path === '' || entry !== undefined) {
    throw new BuildError({ code: 'copy', message: `${cleanPath(action.newPath)} is there already` });
  }
  const parent = await existingParent(tree, path);
  const meta = { mode: 0o777, ...ownerIn(parent, making.owner), ...making.stamp };
  tree.put(path, { type: 'symlink', target: action.oldPath, ...meta }, undefined);
}

async function existingParent(tree: StagedTree, path: TreePath): Promise<NodeEntry | undefined> {
  const parent = parentPath(path);
  const entry = await tree.lookup(parent);
  if (parent !== '' && entry === undefined) {
    throw new BuildError({
      code: 'copy',
      message: `there is no directory /${parent}`,
      hint: `Make it first: ${joinPath(`/${parent}`, path.slice(parent.length + 1))} goes there.`,
    });
  }
  if (entry !== undefined && entry.type !== 'directory') throw notDirectory(parent);
  return entry;
}
