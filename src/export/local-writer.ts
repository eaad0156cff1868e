/**
 * Writes entries below a directory that other people's links may lie in: each is opened relative to its parent's
 * descriptor, and nothing is followed. As BuildKit's local exporter does (fsutil, DiskWriter): modes and times are kept,
 * the owner is who runs the build, what is in the way of an entry of another type goes, all else stays.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, fchmodSync, openSync, readSync, writeSync } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import type { ContentLocation, DirectoryEntry, FileEntry, NodeEntry, TreePath } from '../contracts/index.ts';
import { openConfined } from '../sys/confined.ts';
import type { ConfinedRoot } from '../sys/confined.ts';
import { copyContent } from '../sys/copy.ts';
import { errnoOf } from '../sys/errno.ts';
import { encodePath, readNames } from '../sys/path.ts';
import { futimensNs } from '../sys/stat.ts';
import { writeXattr } from '../sys/xattr.ts';

const CHUNK = 1 << 20;

export class LocalWriter {
  readonly #root: ConfinedRoot;
  readonly #epoch: number | undefined;
  #staging: string | undefined;
  #stagedFiles = 0;
  readonly #directories: { readonly path: TreePath; readonly entry: DirectoryEntry }[] = [];

  /**
   * @param dest An existing directory.
   * @param epoch Seconds: the time of everything, where it is given.
   */
  constructor(dest: string, epoch: number | undefined) {
    this.#root = openConfined(dest);
    this.#epoch = epoch;
  }

  /** Parents come before what is in them. Returns bytes written. */
  write(path: TreePath, entry: NodeEntry, location: ContentLocation | undefined): number {
    if (entry.type === 'directory') {
      const there = this.#root.lstat(path);
      if (there !== undefined && there.type !== 'directory') this.#root.unlink(path);
      if (there?.type !== 'directory') this.#root.mkdir(path, 0o700);
      this.#directories.push({ path, entry });
      return 0;
    }
    if (entry.type === 'socket') return 0;
    this.#clear(path);
    if (entry.type === 'file') return this.#writeFile(path, entry, location);
    if (entry.type === 'symlink') this.#root.symlink(entry.target, path);
    else if (!this.#makeNode(path, entry)) return 0;
    this.#root.utimens(path, this.#epoch ?? entry.mtime, this.#epoch === undefined ? entry.mtimeNsec : 0);
    return 0;
  }

  /**
   * A new file below the destination that has no name yet, for contents that come bit by bit; `adopt` gives it one. The
   * caller closes `fd`.
   */
  stage(): { readonly fd: number; readonly staged: TreePath } {
    if (this.#staging === undefined) {
      this.#staging = `.slipway-${randomBytes(6).toString('hex')}`;
      this.#root.mkdir(this.#staging, 0o700);
    }
    const staged = `${this.#staging}/${this.#stagedFiles++}`;
    return { fd: this.#root.open(staged, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600), staged };
  }

  /** Makes a staged file the entry of this path. */
  adopt(path: TreePath, entry: FileEntry, staged: TreePath): void {
    this.#clear(path);
    const fd = this.#root.open(staged, constants.O_WRONLY);
    try {
      this.#finishFile(fd, entry);
    } finally {
      closeSync(fd);
    }
    this.#root.rename(staged, path);
  }

  /** Removes what is not among `kept`. */
  removeOthers(kept: ReadonlySet<TreePath>): void {
    this.#removeOthersIn('', kept);
  }

  /** Modes and times of directories, which change while they are filled. */
  finish(): void {
    this.#removeStaging();
    for (const { path, entry } of this.#directories.reverse()) {
      this.#root.chmod(path, entry.mode);
      this.#root.utimens(path, this.#epoch ?? entry.mtime, this.#epoch === undefined ? entry.mtimeNsec : 0);
    }
  }

  /** Leaves nothing behind that has no name. */
  close(): void {
    this.#removeStaging();
    this.#root.close();
  }

  #removeStaging(): void {
    if (this.#staging !== undefined && this.#root.lstat(this.#staging) !== undefined) this.#removeTree(this.#staging);
    this.#staging = undefined;
  }

  #writeFile(path: TreePath, entry: FileEntry, location: ContentLocation | undefined): number {
    if (entry.hardlink !== undefined) {
      this.#root.link(entry.hardlink, path);
      return 0;
    }
    const fd = this.#root.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      if (location !== undefined) copyBytes(fd, entry, location);
      this.#finishFile(fd, entry);
    } finally {
      closeSync(fd);
    }
    return entry.size;
  }

  #finishFile(fd: number, entry: FileEntry): void {
    for (const [name, value] of entry.xattrs ?? []) tryXattr(fd, name, value);
    fchmodSync(fd, entry.mode);
    futimensNs(fd, this.#epoch ?? entry.mtime, this.#epoch === undefined ? entry.mtimeNsec : 0);
  }

  /** Takes away what is in the way of something that is no directory. */
  #clear(path: TreePath): void {
    const there = this.#root.lstat(path);
    if (there?.type === 'directory') this.#removeTree(path);
    else if (there !== undefined) this.#root.unlink(path);
  }

  /** False when only root could, and we are not: everything else of the result is of use all the same. */
  #makeNode(path: TreePath, entry: Extract<NodeEntry, { type: 'fifo' | 'char-device' | 'block-device' }>): boolean {
    const { mode } = entry;
    try {
      if (entry.type === 'fifo') this.#root.mknod(path, { type: 'fifo', mode });
      else this.#root.mknod(path, { type: entry.type, mode, major: entry.major, minor: entry.minor });
      this.#root.chmod(path, mode);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EPERM') return false;
      throw error;
    }
  }

  #removeOthersIn(directory: TreePath, kept: ReadonlySet<TreePath>): void {
    for (const name of this.#namesIn(directory)) {
      const path = directory === '' ? name : `${directory}/${name}`;
      const isDirectory = this.#root.lstat(path)?.type === 'directory';
      if (kept.has(path)) {
        if (isDirectory) this.#removeOthersIn(path, kept);
      } else if (isDirectory) this.#removeTree(path);
      else this.#root.unlink(path);
    }
  }

  #removeTree(path: TreePath): void {
    for (const name of this.#namesIn(path)) {
      const below = `${path}/${name}`;
      if (this.#root.lstat(below)?.type === 'directory') this.#removeTree(below);
      else this.#root.unlink(below);
    }
    this.#root.rmdir(path);
  }

  /** Read by descriptor: the name may lead elsewhere by now. */
  #namesIn(directory: TreePath): readonly string[] {
    const fd = this.#root.open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return readNames(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }
}

function copyBytes(to: number, entry: FileEntry, location: ContentLocation): void {
  if (location.kind === 'bytes') {
    writeAll(to, location.data);
    return;
  }
  const isContext = location.kind === 'context-file';
  const flags = constants.O_RDONLY | (isContext ? constants.O_NOFOLLOW | constants.O_NONBLOCK : 0);
  const from = openSync(encodePath(location.path), flags);
  try {
    if (isContext && entry.digest !== undefined) copyVerified(from, to, entry, location.path);
    else if (copyContent(from, to, entry.size).bytes !== entry.size) throw changed(location.path);
  } finally {
    closeSync(from);
  }
}

/** A file of the user may have changed since it was keyed. */
function copyVerified(from: number, to: number, { size, digest }: FileEntry, path: string): void {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK, size));
  for (let left = size; left > 0;) {
    const got = readSync(from, buffer, 0, Math.min(buffer.length, left), null);
    if (got === 0) break;
    const piece = buffer.subarray(0, got);
    hash.update(piece);
    writeAll(to, piece);
    left -= got;
  }
  if (`sha256:${hash.digest('hex')}` !== digest) throw changed(path);
}

function changed(path: string): BuildError {
  return new BuildError({
    code: 'context',
    message: `${path} changed during the build`,
    hint: 'build again, when nothing writes to the build context',
  });
}

function writeAll(fd: number, data: Uint8Array): void {
  for (let at = 0; at < data.length;) at += writeSync(fd, data, at);
}

/** Attributes that this user or that file system cannot have are not what somebody wants files for. */
function tryXattr(fd: number, name: string, value: Uint8Array): void {
  try {
    writeXattr(fd, name, value);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'EPERM' && errno !== 'ENOTSUP' && errno !== 'EOPNOTSUPP') throw error;
  }
}
