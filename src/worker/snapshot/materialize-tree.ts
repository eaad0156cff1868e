/** A layer's directory from its tree and a plan that says where each file's bytes are (contracts/executor.ts). */
import { createHash } from 'node:crypto';
import { closeSync, linkSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { BuildError, type FileEntry, type Tree, type TreePath } from '../../contracts/index.ts';
import { copyContent } from '../../sys/copy.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { decodePath, encodePath } from '../../sys/path.ts';
import { lstat } from '../../sys/stat.ts';
import { LayerWriter, applyMeta } from './layer-writer.ts';
import { imageXattrs, sameXattrs } from './xattrs.ts';

export type PlannedLocation =
  | { readonly kind: 'own'; readonly path: string; readonly linkable: boolean }
  | { readonly kind: 'context'; readonly path: string }
  | { readonly kind: 'bytes'; readonly data: Buffer };

export type Plan = ReadonlyMap<TreePath, PlannedLocation>;

/** Errors: `internal` when the plan is not one. */
export function readPlan(path: string): Plan {
  const bytes = readFileSync(path);
  const plan = new Map<TreePath, PlannedLocation>();
  for (let at = 0; at < bytes.length;) {
    const nul = bytes.indexOf(0, at);
    const end = nul < 0 ? -1 : bytes.indexOf(0x0a, nul);
    if (end < 0) throw new BuildError({ code: 'internal', message: 'the plan of a layer is cut off' });
    plan.set(decodePath(bytes.subarray(at, nul)), locationOf(bytes.subarray(nul + 1, end)));
    at = end + 1;
  }
  return plan;
}

function locationOf(text: Buffer): PlannedLocation {
  const rest = text.subarray(1);
  switch (String.fromCharCode(text[0] ?? 0)) {
    case 'f':
    case 'o':
      return { kind: 'own', path: decodePath(rest), linkable: text[0] === 0x66 };
    case 'c':
      return { kind: 'context', path: decodePath(rest) };
    case 'b':
      return { kind: 'bytes', data: Buffer.from(rest.toString('latin1'), 'base64') };
    default:
      throw new BuildError({ code: 'internal', message: 'the plan of a layer has an unknown location' });
  }
}

/**
 * Writes the tree into `directory`, which must not exist.
 *
 * @returns Directories that the tree does not hold.
 * Errors: `context` for a file of the user's that changed since it was hashed; `disk-full`, `permission`.
 */
export function writeTreeDirectory(
  directory: string,
  tree: Tree,
  plan: Plan,
  aborted: () => boolean = () => false,
): readonly TreePath[] {
  mkdirSync(directory, 0o755);
  const writer = new LayerWriter(directory);
  const later: TreePath[] = [];
  for (const [path, entry] of tree) {
    if (aborted()) throw new BuildError({ code: 'cancelled', message: 'the build was cancelled' });
    if (path === '') continue;
    if (entry.type === 'directory') writer.directory(path, entry);
    else if (entry.type === 'file' && entry.hardlink === undefined) writePlanned(writer, path, entry, plan.get(path));
    else later.push(path);
  }
  for (const path of later) {
    const entry = tree.get(path);
    if (entry === undefined || entry.type === 'directory') continue;
    if (entry.type !== 'file') writer.special(path, entry);
    else if (entry.hardlink !== undefined) writeHardlink(writer, path, entry, entry.hardlink, tree, plan);
  }
  writer.finish();
  const root = tree.get('');
  if (root?.type === 'directory') applyMeta(directory, root);
  return writer.implicitDirectories();
}

/** The first name may lie in lower layers (a tar may say so): then the plan has the bytes, or they are not to be had. */
function writeHardlink(
  writer: LayerWriter,
  path: TreePath,
  entry: FileEntry,
  first: TreePath,
  tree: Tree,
  plan: Plan,
): void {
  const target = tree.get(first);
  if (target?.type === 'file' && target.hardlink === undefined) writer.hardlink(path, first, entry);
  else writePlanned(writer, path, entry, plan.get(path));
}

function writePlanned(
  writer: LayerWriter,
  path: TreePath,
  entry: FileEntry,
  location: PlannedLocation | undefined,
): void {
  if (location === undefined) {
    throw new BuildError({ code: 'internal', message: `the plan of a layer does not say where /${path} is` });
  }
  writer.ensureParent(path);
  const host = writer.hostPath(path);
  switch (location.kind) {
    case 'own':
      if (location.linkable && canLink(location.path, entry) && tryLink(location.path, host)) return;
      copyOwn(location.path, host, entry);
      break;
    case 'context':
      copyVerified(location.path, host, entry, path);
      break;
    case 'bytes':
      writeNew(host, entry, (fd) => {
        for (let at = 0; at < location.data.length;) at += writeSync(fd, location.data, at);
      });
      break;
  }
  applyMeta(host, entry);
}

/**
 * A link shares owner, mode, times and attributes: only where all of them match. And only one: two names of one file in
 * one root are the same file to `cp`, `mv` and `tar`, though they are two in the image.
 */
function canLink(source: string, entry: FileEntry): boolean {
  const stat = lstat(source);
  return (
    stat?.type === 'file' &&
    stat.nlink === 1 &&
    stat.size === entry.size &&
    stat.mode === entry.mode &&
    stat.uid === entry.uid &&
    stat.gid === entry.gid &&
    stat.mtime === entry.mtime &&
    stat.mtimeNsec === entry.mtimeNsec &&
    sameXattrs(imageXattrs(source), entry.xattrs)
  );
}

/** False where the file system has no room for another name (EMLINK, 65,000 on ext4) or is another one. */
function tryLink(source: string, target: string): boolean {
  try {
    linkSync(encodePath(source), encodePath(target));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EMLINK' || errnoOf(error) === 'EXDEV' || errnoOf(error) === 'EPERM') return false;
    throw asBuildError(error);
  }
}

function writeNew(host: string, entry: FileEntry, write: (fd: number) => void): void {
  try {
    const fd = openSync(encodePath(host), 'wx', entry.mode & 0o777);
    try {
      write(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw asBuildError(error);
  }
}

function copyOwn(source: string, host: string, entry: FileEntry): void {
  const from = openSource(source);
  try {
    writeNew(host, entry, (fd) => {
      const { bytes } = copyContent(from, fd, entry.size);
      if (bytes === entry.size) return;
      throw new BuildError({ code: 'store', message: `${source} has ${bytes} bytes, not ${entry.size}` });
    });
  } finally {
    closeSync(from);
  }
}

const CHUNK = 1 << 18;
let chunk: Buffer | undefined;

/** Copies a file of the user's and hashes what was copied: it may have changed since its digest was taken. */
function copyVerified(source: string, host: string, entry: FileEntry, path: TreePath): void {
  const buffer = (chunk ??= Buffer.allocUnsafeSlow(CHUNK));
  const hash = createHash('sha256');
  const from = openSource(source);
  try {
    writeNew(host, entry, (fd) => {
      for (;;) {
        const length = readSync(from, buffer, 0, CHUNK, null);
        if (length === 0) return;
        hash.update(buffer.subarray(0, length));
        for (let at = 0; at < length;) at += writeSync(fd, buffer, at, length - at);
      }
    });
  } finally {
    closeSync(from);
  }
  if (entry.digest === undefined || entry.digest === `sha256:${hash.digest('hex')}`) return;
  throw new BuildError({
    code: 'context',
    message: `${source} changed while the build used it (as /${path})`,
    hint: 'run the build again when nothing writes to the build context',
  });
}

function openSource(source: string): number {
  try {
    return openSync(encodePath(source), 'r');
  } catch (error) {
    throw asBuildError(error);
  }
}
