/**
 * Writes a received directory where Linux's calls are not to be had. The user's own links above the destination are
 * followed; below it none is: every directory on the way is looked at before something is put into it.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import type { DirectoryEntry, FileEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import type { DirectoryTarget } from './receive.ts';

export class PortableWriter implements DirectoryTarget {
  readonly #root: string;
  readonly #checked = new Set<TreePath>(['']);
  readonly #directories: { readonly path: TreePath; readonly entry: DirectoryEntry }[] = [];
  #staging: string | undefined;
  #stagedFiles = 0;

  /** @param dest An existing directory. */
  constructor(dest: string) {
    this.#root = dest;
  }

  write(path: TreePath, entry: NodeEntry): number {
    this.#checkParents(path);
    const host = join(this.#root, path);
    const there = lstatSync(host, { throwIfNoEntry: false });
    if (entry.type === 'directory') {
      if (there !== undefined && !there.isDirectory()) rmSync(host);
      if (there?.isDirectory() !== true) mkdirSync(host, 0o700);
      this.#checked.add(path);
      this.#directories.push({ path, entry });
      return 0;
    }
    if (there !== undefined) rmSync(host, { recursive: true });
    if (entry.type === 'file' && entry.hardlink !== undefined) {
      this.#checkParents(entry.hardlink);
      linkSync(join(this.#root, entry.hardlink), host);
    } else if (entry.type === 'file') {
      closeSync(openSync(host, 'wx', entry.mode));
      utimesSync(host, entry.mtime, entry.mtime);
    } else if (entry.type === 'symlink') symlinkSync(entry.target, host);
    // Devices and fifos are of no use here.
    return 0;
  }

  stage(): { readonly fd: number; readonly staged: TreePath } {
    if (this.#staging === undefined) {
      this.#staging = `.slipway-${randomBytes(6).toString('hex')}`;
      mkdirSync(join(this.#root, this.#staging), 0o700);
    }
    const staged = `${this.#staging}/${this.#stagedFiles++}`;
    return { fd: openSync(join(this.#root, staged), 'wx', 0o600), staged };
  }

  adopt(path: TreePath, entry: FileEntry, staged: TreePath): void {
    this.#checkParents(path);
    const [from, to] = [join(this.#root, staged), join(this.#root, path)];
    rmSync(to, { recursive: true, force: true });
    chmodSync(from, entry.mode & 0o777);
    utimesSync(from, entry.mtime, entry.mtime);
    renameSync(from, to);
  }

  removeOthers(kept: ReadonlySet<TreePath>): void {
    const remove = (directory: TreePath): void => {
      for (const found of readdirSync(join(this.#root, directory), { withFileTypes: true })) {
        const path = directory === '' ? found.name : `${directory}/${found.name}`;
        if (!kept.has(path)) rmSync(join(this.#root, path), { recursive: true });
        else if (found.isDirectory()) remove(path);
      }
    };
    remove('');
  }

  finish(): void {
    this.close();
    for (const { path, entry } of this.#directories.reverse()) {
      chmodSync(join(this.#root, path), entry.mode & 0o777);
      utimesSync(join(this.#root, path), entry.mtime, entry.mtime);
    }
  }

  close(): void {
    if (this.#staging !== undefined) rmSync(join(this.#root, this.#staging), { recursive: true, force: true });
    this.#staging = undefined;
  }

  #checkParents(path: TreePath): void {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? '' : path.slice(0, slash);
    if (this.#checked.has(parent)) return;
    this.#checkParents(parent);
    if (lstatSync(join(this.#root, parent), { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new BuildError({ code: 'hostile', message: `${parent} in ${this.#root} is no directory` });
    }
    this.#checked.add(parent);
  }
}
