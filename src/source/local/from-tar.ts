import { spawn } from 'node:child_process';
import { closeSync, constants, fchmodSync, mkdirSync, writeSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { TreePath } from '../../contracts/index.ts';
import { decompress, detectCompression, readTar, treePathOf } from '../../image/index.ts';
import type { TarEntry, TarHeader } from '../../image/index.ts';
import { openConfined } from '../../sys/confined.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';
import { errnoOf } from '../../sys/errno.ts';
import { futimensNs } from '../../sys/stat.ts';
import { writeXattr } from '../../sys/xattr.ts';
import { cancelled } from '../cancelled.ts';
import { isKeptXattr } from './read-entry.ts';

const NAME = 'the tar of the build context';
/** Enough to tell formats by. Bytes. */
const MAGIC_LENGTH = 6;
/** Until everything is in it; its own mode comes last. */
const OPEN_DIRECTORY = 0o700;
const IMPLICIT_DIRECTORY = 0o755;

/**
 * Unpacks a tar, compressed or not, into a new directory. Every name is opened below it without following links, so
 * nothing can be written elsewhere (CVE-2026-28406, CVE-2026-23745 and their like); owners are not taken over, as
 * contexts are reported as 0:0; device nodes are left out.
 *
 * @param directory Host path that does not exist.
 * @throws BuildError `hostile`, `context`, `disk-full`
 */
export async function unpackContext(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  mkdirSync(directory, OPEN_DIRECTORY);
  const root = openConfined(directory);
  const directories = new Map<TreePath, TarHeader>();
  try {
    for await (const entry of readTar(await plain(source), { name: NAME, code: 'context' })) {
      if (signal.aborted) throw cancelled(signal);
      await unpackEntry(root, entry, directories);
    }
    // Deepest first: a directory's time changes with what is put into it.
    for (const [path, header] of [...directories].reverse()) {
      root.chmod(path, header.mode);
      root.utimens(path, header.mtime, header.mtimeNsec);
    }
  } finally {
    root.close();
  }
}

async function unpackEntry(
  root: ConfinedRoot,
  { header, body }: TarEntry,
  directories: Map<TreePath, TarHeader>,
): Promise<void> {
  const path = treePathOf(header.name);
  if (path === '') return;
  makeParents(root, path);
  if (header.type === 'directory') {
    if (root.lstat(path)?.type !== 'directory') {
      removeOld(root, path);
      root.mkdir(path, OPEN_DIRECTORY);
    }
    // Set again at its last place, so that the order stays parents first.
    directories.delete(path);
    directories.set(path, header);
    return;
  }
  removeOld(root, path);
  switch (header.type) {
    case 'file':
      await writeFile(root, path, header, body);
      return;
    case 'hardlink': {
      const target = treePathOf(header.target);
      if (root.lstat(target)?.type !== 'file') {
        throw new BuildError({
          code: 'hostile',
          message: `${NAME} is damaged: ${header.name} is a hard link to ${header.target}, which is no file in it`,
        });
      }
      root.link(target, path);
      return;
    }
    case 'symlink':
      root.symlink(header.target, path);
      root.utimens(path, header.mtime, header.mtimeNsec);
      return;
    case 'fifo':
      root.mknod(path, { type: 'fifo', mode: header.mode & 0o777 });
      return;
    case 'char-device':
    case 'block-device':
      return;
  }
}

async function writeFile(
  root: ConfinedRoot,
  path: TreePath,
  header: TarHeader,
  body: AsyncIterable<Uint8Array>,
): Promise<void> {
  const fd = root.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    for await (const piece of body) {
      for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at);
    }
    for (const [name, value] of header.xattrs ?? []) {
      if (isKeptXattr(name)) setXattr(fd, name, value);
    }
    fchmodSync(fd, header.mode);
    futimensNs(fd, header.mtime, header.mtimeNsec);
  } finally {
    closeSync(fd);
  }
}

/** Not every file system or user can have them; a context without is still one. */
function setXattr(fd: number, name: string, value: Uint8Array): void {
  try {
    writeXattr(fd, name, value);
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EPERM') throw error;
  }
}

function makeParents(root: ConfinedRoot, path: TreePath): void {
  const slash = path.lastIndexOf('/');
  if (slash === -1) return;
  const parent = path.slice(0, slash);
  const found = root.lstat(parent);
  if (found?.type === 'directory') return;
  // Through a link, or below a file: no honest archive does that.
  if (found !== undefined) {
    throw new BuildError({
      code: 'hostile',
      message: `${NAME} has ${path} below ${parent}, which is no directory in it`,
    });
  }
  makeParents(root, parent);
  root.mkdir(parent, IMPLICIT_DIRECTORY);
}

/** The last of a name wins, as with tar(1). */
function removeOld(root: ConfinedRoot, path: TreePath): void {
  const old = root.lstat(path);
  if (old === undefined) return;
  if (old.type === 'directory') root.rmdir(path);
  else root.unlink(path);
}

async function plain(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const parts = source[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < MAGIC_LENGTH) {
    const next = await parts.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const whole = (async function* () {
    yield head;
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) yield next.value;
  })();
  const format = detectCompression(head);
  if (format === 'xz' || format === 'bzip2') return throughProgram(whole, format);
  return decompress(whole, { name: NAME, code: 'context' });
}

/** Formats that Node does not read. */
async function* throughProgram(
  source: AsyncIterable<Uint8Array>,
  program: 'xz' | 'bzip2',
): AsyncGenerator<Uint8Array, void, undefined> {
  const { Readable } = await import('node:stream');
  const { pipeline } = await import('node:stream/promises');
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', (cause: NodeJS.ErrnoException) => {
      const isMissing = cause.code === 'ENOENT';
      reject(
        new BuildError({
          code: 'host',
          message: `${NAME} is compressed with ${program}, and the program ${program} ${isMissing ? 'is not installed' : 'cannot be started'}`,
          hint: `install it (apt-get install ${program === 'xz' ? 'xz-utils' : 'bzip2'}), or compress with gzip or zstd`,
          cause,
        }),
      );
    });
    child.on('close', resolve);
  });
  ended.catch(() => undefined);
  const fed = pipeline(Readable.from(source), child.stdin).catch(() => undefined);
  try {
    for await (const piece of child.stdout) yield piece as Buffer;
    await fed;
    if ((await ended) !== 0) throw new BuildError({ code: 'context', message: `${NAME} is damaged (${program})` });
  } finally {
    child.kill('SIGKILL');
  }
}
