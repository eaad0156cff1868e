import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, fchmodSync, fchownSync, writeSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { Digest, TreePath } from '../../contracts/index.ts';
import type { MountEntry, MountIndex } from '../../image/index.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';
import { copyContent } from '../../sys/copy.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { futimensNs } from '../../sys/stat.ts';
import type { MergePlan } from './plan-merge.ts';
import type { FoundMount } from './types.ts';

type File = Extract<MountEntry, { readonly type: 'file' }>;

export interface WriteOptions {
  readonly signal: AbortSignal;
  /** The directory was empty: nothing is replaced, and directories get their times. */
  readonly fresh: boolean;
  /** Compressed bytes of packs so far, and in all. */
  readonly onProgress: (bytes: number, total: number) => void;
}

/**
 * Carries out a plan below a directory in which steps may have left links and traps. Only packs that hold something of what is
 * wanted are fetched; what they hold is verified file by file, and replaces what was there when it is whole.
 *
 * @throws BuildError `digest-mismatch`, `registry`, `disk-full`, ...; what was written until then stays.
 */
export async function writeMount(
  root: ConfinedRoot,
  plan: MergePlan,
  index: MountIndex,
  found: FoundMount,
  options: WriteOptions,
): Promise<void> {
  const { fresh, signal } = options;
  for (const path of plan.remove) removeQuietly(root, path);
  const files = new Map<Digest, { readonly path: TreePath; readonly entry: File }[]>();
  const directories: [TreePath, MountEntry][] = [];
  for (const path of plan.write) {
    const entry = index.entries.get(path);
    if (entry?.type === 'directory') {
      makeDirectory(root, path, entry);
      directories.push([path, entry]);
    } else if (entry?.type === 'symlink') makeLink(root, path, entry, fresh);
    else if (entry?.type === 'file') {
      const same = files.get(entry.digest);
      if (same === undefined) files.set(entry.digest, [{ path, entry }]);
      else same.push({ path, entry });
    }
  }
  for (const [digest, targets] of files) {
    if (targets[0]?.entry.size !== 0) continue;
    for (const target of targets) writeFile(root, target.path, target.entry, fresh, () => undefined);
    files.delete(digest);
  }
  const needed = index.packs.filter(({ contents }) => contents.some(({ digest }) => files.has(digest)));
  const total = needed.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  for (const pack of needed) {
    signal.throwIfAborted();
    await unpack(pack, found.contents(pack));
    options.onProgress((done += pack.size), total);
  }
  const [missing] = files.keys();
  if (missing !== undefined)
    throw new BuildError({ code: 'hostile', message: `no pack of ${found.name} holds ${missing}` });
  if (fresh) {
    // Children first: making an entry touches its directory.
    for (const [path, { mtime, mtimeNsec }] of directories.reverse()) root.utimens(path, mtime, mtimeNsec);
  }

  async function unpack(pack: MountIndex['packs'][number], stream: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = new Reader(stream);
    try {
      for (const { digest, size } of pack.contents) {
        const targets = files.get(digest);
        if (targets === undefined) {
          await bytes.take(size, () => undefined);
          continue;
        }
        files.delete(digest);
        await writeAll(targets, digest, size, bytes);
      }
      // To the end: its digest is checked there.
      await bytes.rest();
    } finally {
      await bytes.close();
    }
  }

  async function writeAll(
    [first, ...others]: readonly { readonly path: TreePath; readonly entry: File }[],
    digest: Digest,
    size: number,
    bytes: Reader,
  ): Promise<void> {
    if (first === undefined) return;
    const file = openNew(root, first.path, fresh);
    try {
      const hasher = createHash('sha256');
      await bytes.take(size, (chunk) => {
        hasher.update(chunk);
        writeWhole(file.fd, chunk);
      });
      const actual = `sha256:${hasher.digest('hex')}`;
      if (actual !== digest) {
        throw new BuildError({
          code: 'digest-mismatch',
          message: `a file of ${found.name} has the digest ${actual}, not ${digest}`,
        });
      }
      for (const other of others) {
        writeFile(root, other.path, other.entry, fresh, (fd) => copyContent(file.fd, fd, size));
      }
      finish(file.fd, first.entry);
      file.commit();
    } catch (error) {
      file.abort();
      throw asBuildError(error);
    }
  }
}

function writeFile(
  root: ConfinedRoot,
  path: TreePath,
  entry: File,
  fresh: boolean,
  fill: (fd: number) => unknown,
): void {
  const file = openNew(root, path, fresh);
  try {
    fill(file.fd);
    finish(file.fd, entry);
    file.commit();
  } catch (error) {
    file.abort();
    throw asBuildError(error);
  }
}

/** A file under its own name where nothing can be there, else under another until it is whole. */
function openNew(root: ConfinedRoot, path: TreePath, fresh: boolean) {
  const slash = path.lastIndexOf('/') + 1;
  const name = fresh ? path : `${path.slice(0, slash)}.slipway-${randomBytes(6).toString('hex')}`;
  // Readable, as further names of the content are copied from it.
  const fd = root.open(name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  let open = true;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  return {
    fd,
    commit() {
      close();
      if (!fresh) root.rename(name, path);
    },
    abort() {
      close();
      removeQuietly(root, name);
    },
  };
}

function finish(fd: number, { uid, gid, mode, mtime, mtimeNsec }: File): void {
  fchownSync(fd, uid, gid);
  // After the owner: a change of owner clears setuid and setgid.
  fchmodSync(fd, mode);
  futimensNs(fd, mtime, mtimeNsec);
}

function makeDirectory(root: ConfinedRoot, path: TreePath, { uid, gid, mode }: MountEntry): void {
  root.mkdir(path, 0o700);
  root.chown(path, uid, gid);
  root.chmod(path, mode);
}

function makeLink(
  root: ConfinedRoot,
  path: TreePath,
  { target, uid, gid, mtime, mtimeNsec }: Extract<MountEntry, { readonly type: 'symlink' }>,
  fresh: boolean,
): void {
  if (!fresh) removeQuietly(root, path);
  root.symlink(target, path);
  root.chown(path, uid, gid);
  root.utimens(path, mtime, mtimeNsec);
}

function removeQuietly(root: ConfinedRoot, path: TreePath): void {
  try {
    if (root.lstat(path)?.type === 'directory') root.rmdir(path);
    else root.unlink(path);
  } catch {
    // Gone, or a directory that holds something of its own.
  }
}

function writeWhole(fd: number, chunk: Uint8Array): void {
  try {
    for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at, chunk.length - at);
  } catch (error) {
    if (errnoOf(error) === 'ENOSPC') {
      throw new BuildError({ code: 'disk-full', message: 'no space left for a cache mount', cause: error });
    }
    throw asBuildError(error);
  }
}

/** Counted pieces of a stream. */
class Reader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async take(size: number, sink: (chunk: Uint8Array) => void): Promise<void> {
    for (let left = size; left > 0;) {
      if (this.#chunk.length === 0 && !(await this.#next())) {
        throw new BuildError({ code: 'hostile', message: 'a pack of a cache mount is shorter than its index says' });
      }
      const piece = this.#chunk.subarray(0, left);
      sink(piece);
      this.#chunk = this.#chunk.subarray(piece.length);
      left -= piece.length;
    }
  }

  async rest(): Promise<void> {
    while (await this.#next());
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #next(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#chunk = next.value;
    return true;
  }
}
