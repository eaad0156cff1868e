/**
 * Removes directories that a build has filled: by descriptors, so that nothing is followed whatever happens to the
 * names meanwhile; however deep (a RUN can nest directories beyond any path length); with directories that have no
 * permission bits; and in steps, so that an event loop can go on in between.
 */
import { closeSync, constants } from 'node:fs';
import { AT_FDCWD, AT_REMOVEDIR, O_CLOEXEC, O_PATH, checked, cPath, lastErrno, libcFunction } from './libc.ts';
import { systemError } from './errno.ts';
import { readNames } from './path.ts';

const openat = libcFunction('openat', ['int', 'const char *', 'int', 'uint']);
const unlinkat = libcFunction('unlinkat', ['int', 'const char *', 'int']);
const renameat = libcFunction('renameat', ['int', 'const char *', 'int', 'const char *']);
const chmod = libcFunction('chmod', ['const char *', 'uint']);

const EPERM = 1;
const ENOENT = 2;
const EACCES = 13;
const ENOTDIR = 20;
const EISDIR = 21;
const ELOOP = 40;

/** Directories held open at once; what lies deeper is moved to the top first. */
const MAX_DEPTH = 100;
/** Names removed between two steps: about a millisecond. */
const STEP = 256;

/** Removes `path` and all below it, at once. No error when it is not there. */
export function removeTree(path: string): void {
  const steps = removeTreeSteps(path);
  while (steps.next().done !== true);
}

/** {@link removeTree} in steps of about a millisecond; stopping early leaves the rest where it is. */
export function* removeTreeSteps(path: string): Generator<void, void> {
  if (unlinkat(AT_FDCWD, cPath(path), 0) === 0) return;
  const errno = lastErrno();
  if (errno === ENOENT) return;
  if (errno !== EISDIR && errno !== EPERM) throw systemError(errno, 'unlink', path);
  const top = openDirectory(AT_FDCWD, path);
  if (top === undefined) return;
  const budget = { left: STEP, moved: 0 };
  try {
    // What was too deep has been moved here meanwhile: until nothing is left.
    for (let names = readNames(self(top)); names.length > 0; names = readNames(self(top))) {
      yield* removeNames(top, top, names, 1, budget);
    }
  } finally {
    closeSync(top);
  }
  checked(unlinkat(AT_FDCWD, cPath(path), AT_REMOVEDIR), 'rmdir', path);
}

interface Budget {
  left: number;
  moved: number;
}

function* removeNames(
  top: number,
  directory: number,
  names: readonly string[],
  depth: number,
  budget: Budget,
): Generator<void, void> {
  for (const name of names) {
    if (--budget.left <= 0) {
      budget.left = STEP;
      yield;
    }
    if (unlinkat(directory, cPath(name), 0) === 0) continue;
    const errno = lastErrno();
    if (errno === ENOENT) continue;
    if (errno !== EISDIR && errno !== EPERM) throw systemError(errno, 'unlink', name);
    if (unlinkat(directory, cPath(name), AT_REMOVEDIR) === 0) continue;
    if (depth >= MAX_DEPTH) {
      const aside = `.removed-${process.pid.toString(36)}-${(budget.moved++).toString(36)}`;
      checked(renameat(directory, cPath(name), top, aside), 'rename', name);
      continue;
    }
    const child = openDirectory(directory, name);
    if (child === undefined) throw systemError(errno, 'unlink', name);
    try {
      yield* removeNames(top, child, readNames(self(child)), depth + 1, budget);
    } finally {
      closeSync(child);
    }
    if (unlinkat(directory, cPath(name), AT_REMOVEDIR) !== 0) {
      const left = lastErrno();
      if (left !== ENOENT) throw systemError(left, 'rmdir', name);
    }
  }
}

/** Opens a directory for reading its names, giving ourselves permission where it lacks; undefined when it is none. */
function openDirectory(at: number, name: string): number | undefined {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | O_CLOEXEC;
  const fd = openat(at, cPath(name), flags, 0);
  if (fd >= 0) {
    // Without write or search permission its names can be read but not removed.
    if (process.getuid?.() !== 0) chmod(self(fd), 0o700);
    return fd;
  }
  const errno = lastErrno();
  if (errno === ENOENT || errno === ENOTDIR || errno === ELOOP) return undefined;
  if (errno !== EACCES) throw systemError(errno, 'open', name);
  const handle = checked(
    openat(at, cPath(name), O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW | O_CLOEXEC, 0),
    'open',
    name,
  );
  try {
    checked(chmod(self(handle), 0o700), 'chmod', name);
    return checked(openat(handle, '.', flags, 0), 'open', name);
  } finally {
    closeSync(handle);
  }
}

function self(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
