/**
 * Writes the directory of a layer from its tree: first directories and files, then all that could lead somewhere (links,
 * devices, whiteouts), last the directories' own metadata. Everything is made below a new directory of our own, and a
 * parent is always a directory that was made here: no path can leave it, whatever the tree says.
 */
import { linkSync, mkdirSync, rmdirSync, symlinkSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { DirectoryEntry, FileEntry, NodeEntry, Tree, TreeEntry, TreePath } from '../../contracts/index.ts';
import { copyFile } from '../../sys/copy.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { encodePath } from '../../sys/path.ts';
import { chmod, lchown, mknod, utimens } from '../../sys/stat.ts';
import { writeXattr } from '../../sys/xattr.ts';
import { markOpaque } from './whiteout.ts';

/** Of directories that the tree does not hold; see `implicit.ts`. */
const IMPLICIT_MODE = 0o755;

export class LayerWriter {
  readonly #root: string;
  /** Directories made, with their entry; undefined for those that the tree does not hold. */
  readonly #directories = new Map<TreePath, DirectoryEntry | undefined>([['', undefined]]);

  /** @param root Host path of an existing, empty directory that nobody else writes. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Directories that are there only because something lies in them, in no particular order. */
  implicitDirectories(): readonly TreePath[] {
    const found: TreePath[] = [];
    for (const [path, entry] of this.#directories) if (entry === undefined && path !== '') found.push(path);
    return found;
  }

  hostPath(path: TreePath): string {
    return path === '' ? this.#root : `${this.#root}/${path}`;
  }

  /**
   * Makes the parents of `path` where they are missing.
   * Errors: `hostile` when one of them is something else already.
   */
  ensureParent(path: TreePath): void {
    const slash = path.lastIndexOf('/');
    if (slash > 0) this.#ensureDirectory(path.slice(0, slash));
  }

  #ensureDirectory(path: TreePath): void {
    if (this.#directories.has(path)) return;
    this.ensureParent(path);
    try {
      mkdirSync(encodePath(this.hostPath(path)), IMPLICIT_MODE);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw asBuildError(error);
      throw new BuildError({
        code: 'hostile',
        message: `the layer has entries below /${path}, which is no directory`,
      });
    }
    this.#directories.set(path, undefined);
  }

  /** Makes the directory now, its metadata with {@link finish}. */
  directory(path: TreePath, entry: DirectoryEntry): void {
    this.#ensureDirectory(path);
    this.#directories.set(path, entry);
  }

  /** Whether `path` is a directory that was made here. */
  hasDirectory(path: TreePath): boolean {
    return this.#directories.has(path);
  }

  /** Removes directories that the tree has no use for: made for entries that later ones replaced. */
  keepOnly(tree: Tree): void {
    const needed = new Set<TreePath>(['']);
    for (const [path, entry] of tree) {
      if (entry.type === 'directory') needed.add(path);
      for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
        const parent = path.slice(0, slash);
        if (needed.has(parent)) break;
        needed.add(parent);
      }
    }
    for (const path of [...this.#directories.keys()].reverse()) {
      if (needed.has(path)) continue;
      rmdirSync(encodePath(this.hostPath(path)));
      this.#directories.delete(path);
    }
  }

  /** Links, devices, fifos, whiteouts. Regular files are written by others, hard links by {@link hardlink}. */
  special(path: TreePath, entry: Exclude<TreeEntry, DirectoryEntry | FileEntry>): void {
    this.ensureParent(path);
    const host = this.hostPath(path);
    switch (entry.type) {
      case 'whiteout':
        mknod(host, { type: 'char-device', mode: 0, major: 0, minor: 0 });
        return;
      case 'symlink':
        symlink(entry.target, host);
        break;
      case 'char-device':
      case 'block-device':
        mknod(host, { type: entry.type, mode: entry.mode, major: entry.major, minor: entry.minor });
        break;
      case 'fifo':
      case 'socket':
        mknod(host, { type: entry.type, mode: entry.mode });
        break;
    }
    applyMeta(host, entry);
  }

  /** Another name of a file of this layer; a copy where the file system takes no further name (EMLINK). */
  hardlink(path: TreePath, first: TreePath, entry: FileEntry): void {
    this.ensureParent(path);
    const host = this.hostPath(path);
    try {
      linkSync(encodePath(this.hostPath(first)), encodePath(host));
    } catch (error) {
      if (errnoOf(error) !== 'EMLINK') throw asBuildError(error);
      copyFile(this.hostPath(first), host);
      applyMeta(host, entry);
    }
  }

  /** Owner, mode, attributes and times of directories: children first, as making them changes the parents' times. */
  finish(): void {
    for (const [path, entry] of [...this.#directories].reverse()) {
      const host = this.hostPath(path);
      if (entry === undefined) {
        if (path !== '') utimens(host, 0, 0);
        continue;
      }
      if (entry.opaque === true) markOpaque(host);
      applyMeta(host, entry);
    }
  }
}

function symlink(target: string, host: string): void {
  try {
    symlinkSync(encodePath(target), encodePath(host));
  } catch (error) {
    throw asBuildError(error);
  }
}

/** Owner before mode (chown clears setuid), attributes before times (writing them changes none, but errors come first). */
export function applyMeta(host: string, entry: NodeEntry): void {
  if (entry.uid !== 0 || entry.gid !== 0) lchown(host, entry.uid, entry.gid);
  if (entry.type !== 'symlink') chmod(host, entry.mode);
  if (entry.xattrs !== undefined) for (const [name, value] of entry.xattrs) writeXattr(host, name, value);
  utimens(host, entry.mtime, entry.mtimeNsec);
}
