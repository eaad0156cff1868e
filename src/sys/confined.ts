/**
 * File operations below a root directory that nothing in that directory can lead out of: not `..`, not an absolute
 * path, not a symbolic link, not one that appears in the middle of the work (CVE-2018-15664, CVE-2024-23651 and their
 * kin). Every path is resolved by the kernel against the root's descriptor with openat2(2); where the kernel has none,
 * component by component with O_NOFOLLOW, which is as safe and slower.
 *
 * A parent directory once resolved is kept open for the next entry: what we then do happens in that very directory,
 * wherever a hostile process may have moved its name.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_PATH,
  checked,
  cPath,
  lastErrno,
  libcFunction,
  syscallFunction,
} from './libc.ts';
import { asBuildError, systemError } from './errno.ts';
import { decodePath, encodePath } from './path.ts';
import { lstatAt, mknodAt, utimensAt, type ExactStat, type NodeSpec } from './stat.ts';

const openat = libcFunction('openat', ['int', 'const char *', 'int', 'uint']);
const openat2 = syscallFunction('openat2', ['int', 'const char *', 'void *', 'size_t']);
const mkdirat = libcFunction('mkdirat', ['int', 'const char *', 'uint']);
const unlinkat = libcFunction('unlinkat', ['int', 'const char *', 'int']);
const linkat = libcFunction('linkat', ['int', 'const char *', 'int', 'const char *', 'int']);
const symlinkat = libcFunction('symlinkat', ['const char *', 'int', 'const char *']);
const readlinkat = libcFunction('readlinkat', ['int', 'const char *', 'void *', 'size_t'], 'long');
const renameat = libcFunction('renameat', ['int', 'const char *', 'int', 'const char *']);
const fchownat = libcFunction('fchownat', ['int', 'const char *', 'uint', 'uint', 'int']);
const chmod = libcFunction('chmod', ['const char *', 'uint']);

const ENOENT = 2;
const EAGAIN = 11;
const EXDEV = 18;
const ENOTDIR = 20;
const ELOOP = 40;

// linux/openat2.h
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const RESOLVE_IN_ROOT = 0x10;
/** struct open_how: flags, mode, resolve; 64 bits each. */
const howBytes = new Uint8Array(24);
const howView = new DataView(howBytes.buffer);

/** Symbolic links followed in one resolution, as the kernel's MAXSYMLINKS. */
const MAX_LINKS = 40;
/** Parent directories kept open. Archives come in directory order, so few serve nearly all entries. */
const KEPT_PARENTS = 16;

export type ConfinedMethod = 'openat2' | 'walk';

/** A root directory and what may be done below it. Paths are tree paths; `''` is the root where that makes sense. */
export interface ConfinedRoot {
  readonly fd: number;
  /** `walk` where the kernel or a sandbox refuses openat2. */
  readonly method: ConfinedMethod;
  /**
   * Opens without following any link: a link in the way is an error `hostile`.
   *
   * @param flags Of open(2), as `constants.O_RDONLY`; O_CLOEXEC and O_NOFOLLOW are added.
   */
  open(path: string, flags: number, mode?: number): number;
  /** Opens with links followed, resolved as by a process whose root directory this is. */
  openInRoot(path: string, flags: number, mode?: number): number;
  lstat(path: string): ExactStat | undefined;
  mkdir(path: string, mode: number): void;
  /** Removes a file, link or device. */
  unlink(path: string): void;
  rmdir(path: string): void;
  /** Makes a link with this text, which is never looked at. */
  symlink(target: string, path: string): void;
  /** Makes `path` another name of `existing`; both are below the root, neither is followed. */
  link(existing: string, path: string): void;
  rename(from: string, to: string): void;
  readlink(path: string): string;
  mknod(path: string, spec: NodeSpec): void;
  utimens(path: string, seconds: number, nanoseconds: number): void;
  chown(path: string, uid: number, gid: number): void;
  /** Errors: `hostile` when `path` is a symbolic link. */
  chmod(path: string, mode: number): void;
  /**
   * `/proc/self/fd/N/name`: a host path for calls that do not follow their last component (`xattr.ts`). Valid until the
   * next call on this root.
   */
  noFollowPath(path: string): string;
  /** Forgets parents kept open; needed after the directory was changed by other means than this object. */
  forget(): void;
  close(): void;
}

/**
 * @param directory Host path in tree form; it is ours, and followed.
 * @param method For tests; absent = openat2 where it works.
 */
export function openConfined(directory: string, method?: ConfinedMethod): ConfinedRoot {
  let root: number;
  try {
    root = openSync(encodePath(directory), constants.O_RDONLY | constants.O_DIRECTORY | O_CLOEXEC);
  } catch (error) {
    throw asBuildError(error);
  }
  return confined(root, method ?? (kernelHasOpenat2(root) ? 'openat2' : 'walk'));
}

let probed: boolean | undefined;
function kernelHasOpenat2(root: number): boolean {
  if (probed === undefined) {
    const fd = rawOpenat2(root, '.', O_PATH | constants.O_DIRECTORY, 0, RESOLVE_BENEATH);
    // Old sandboxes answer EPERM to what they do not know. Any failure on `.` means that it is of no use here.
    probed = fd >= 0;
    if (fd >= 0) closeSync(fd);
  }
  return probed;
}

function rawOpenat2(dirFd: number, path: string, flags: number, mode: number, resolve: number): number {
  howView.setBigUint64(0, BigInt(flags | O_CLOEXEC), true);
  howView.setBigUint64(8, BigInt(mode), true);
  howView.setBigUint64(16, BigInt(resolve | RESOLVE_NO_MAGICLINKS), true);
  return openat2(dirFd, cPath(path), howBytes, howBytes.length);
}

function confined(root: number, method: ConfinedMethod): ConfinedRoot {
  const parents = new Map<string, number>();

  function beneath(path: string, flags: number, mode: number): number {
    const name = path === '' ? '.' : cleanPath(path);
    if (method === 'walk') return walkOpen(root, name, flags | constants.O_NOFOLLOW, mode, path);
    // With O_DIRECTORY the kernel would say ENOTDIR of a link; RESOLVE_NO_SYMLINKS alone says ELOOP, and is as strict.
    const nofollow = (flags & constants.O_DIRECTORY) === 0 ? constants.O_NOFOLLOW : 0;
    for (;;) {
      const fd = rawOpenat2(root, name, flags | nofollow, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
      if (fd >= 0) return fd;
      const errno = lastErrno();
      // EAGAIN: a rename elsewhere in the system raced with `..` handling (openat2(2)); try again.
      if (errno !== EAGAIN) throw confinedError(errno, 'openat2', path);
    }
  }

  function parentOf(path: string): { readonly fd: number; readonly name: string } {
    cleanPath(path);
    if (path === '') throw hostile('the root itself cannot be replaced or removed', path);
    const slash = path.lastIndexOf('/');
    if (slash < 0) return { fd: root, name: path };
    const directory = path.slice(0, slash);
    const name = path.slice(slash + 1);
    const kept = parents.get(directory);
    if (kept !== undefined) {
      parents.delete(directory);
      parents.set(directory, kept);
      return { fd: kept, name };
    }
    const fd = beneath(directory, O_PATH | constants.O_DIRECTORY, 0);
    parents.set(directory, fd);
    if (parents.size > KEPT_PARENTS) {
      for (const [oldest, oldFd] of parents) {
        parents.delete(oldest);
        closeSync(oldFd);
        break;
      }
    }
    return { fd, name };
  }

  function forget(): void {
    for (const fd of parents.values()) closeSync(fd);
    parents.clear();
  }

  function self(path: string): { readonly fd: number; readonly name: string } {
    return path === '' ? { fd: root, name: '.' } : parentOf(path);
  }

  return {
    fd: root,
    method,
    open: (path, flags, mode = 0) => beneath(path, flags, mode),
    openInRoot(path, flags, mode = 0) {
      if (method === 'walk') return walkInRoot(root, path, flags, mode);
      for (;;) {
        const fd = rawOpenat2(root, path === '' ? '.' : path, flags, mode, RESOLVE_IN_ROOT);
        if (fd >= 0) return fd;
        const errno = lastErrno();
        if (errno !== EAGAIN) throw confinedError(errno, 'openat2', path);
      }
    },
    lstat(path) {
      const slash = path.lastIndexOf('/');
      if (path !== '' && slash >= 0) {
        try {
          parentOf(path);
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }
      const at = self(path);
      return lstatAt(at.fd, at.name);
    },
    mkdir(path, mode) {
      const at = parentOf(path);
      checked(mkdirat(at.fd, cPath(at.name), mode), 'mkdir', path);
    },
    unlink(path) {
      const at = parentOf(path);
      checked(unlinkat(at.fd, cPath(at.name), 0), 'unlink', path);
    },
    rmdir(path) {
      const at = parentOf(path);
      checked(unlinkat(at.fd, cPath(at.name), AT_REMOVEDIR), 'rmdir', path);
      forget();
    },
    symlink(target, path) {
      const at = parentOf(path);
      checked(symlinkat(cPath(target), at.fd, cPath(at.name)), 'symlink', path);
    },
    link(existing, path) {
      // Both parents are in use at once: `existing` first, so that `path` cannot push it out (more than one is kept).
      const from = parentOf(existing);
      const to = parentOf(path);
      checked(linkat(from.fd, cPath(from.name), to.fd, cPath(to.name), 0), 'link', path);
    },
    rename(from, to) {
      const a = parentOf(from);
      const b = parentOf(to);
      checked(renameat(a.fd, cPath(a.name), b.fd, cPath(b.name)), 'rename', to);
      forget();
    },
    readlink(path) {
      const at = parentOf(path);
      return readLinkAt(at.fd, at.name, path);
    },
    mknod(path, spec) {
      const at = parentOf(path);
      mknodAt(at.fd, at.name, spec);
    },
    utimens(path, seconds, nanoseconds) {
      const at = self(path);
      utimensAt(at.fd, at.name, seconds, nanoseconds);
    },
    chown(path, uid, gid) {
      const at = self(path);
      checked(fchownat(at.fd, cPath(at.name), uid, gid, AT_SYMLINK_NOFOLLOW), 'chown', path);
    },
    chmod(path, mode) {
      // fchmodat(2) follows links. An O_PATH descriptor cannot change under us, and its magic link leads nowhere else.
      const fd = beneath(path, O_PATH, 0);
      try {
        if (lstatAt(fd, '')?.type === 'symlink') throw hostile('a symbolic link has no mode', path);
        checked(chmod(`/proc/self/fd/${fd}`, mode), 'chmod', path);
      } finally {
        closeSync(fd);
      }
    },
    noFollowPath(path) {
      const at = self(path);
      return `/proc/self/fd/${at.fd}/${at.name}`;
    },
    forget,
    close() {
      forget();
      closeSync(root);
    },
  };
}

/** Refuses what is no clean tree path before any kernel sees it. */
function cleanPath(path: string): string {
  if (path.startsWith('/')) throw hostile('an absolute path where a path inside the tree is expected', path);
  for (let from = 0; from <= path.length;) {
    const slash = path.indexOf('/', from);
    const to = slash < 0 ? path.length : slash;
    const length = to - from;
    if (length === 0 && path.length > 0) throw hostile('a path with an empty component', path);
    if (length === 1 && path[from] === '.') throw hostile('a path with a `.` component', path);
    if (length === 2 && path[from] === '.' && path[from + 1] === '.')
      throw hostile('a path that leaves its root', path);
    from = to + 1;
  }
  return path;
}

/** Component by component; each is opened relative to the one before without following it. */
function walkOpen(root: number, path: string, flags: number, mode: number, shown: string): number {
  const names = path.split('/');
  let at = root;
  try {
    for (let i = 0; i < names.length - 1; i++) {
      const next = openat(
        at,
        cPath(names[i] ?? ''),
        O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW | O_CLOEXEC,
        0,
      );
      if (next < 0) throw walkError(at, names[i] ?? '', lastErrno(), shown);
      if (at !== root) closeSync(at);
      at = next;
    }
    const last = names[names.length - 1] ?? '';
    const fd = openat(at, cPath(last), flags | O_CLOEXEC, mode);
    if (fd < 0) throw walkError(at, last, lastErrno(), shown);
    return fd;
  } finally {
    if (at !== root) closeSync(at);
  }
}

/** O_DIRECTORY|O_NOFOLLOW says ENOTDIR of a link, where openat2 says ELOOP: tell them apart for the same message. */
function walkError(at: number, name: string, errno: number, shown: string): BuildError {
  if (errno === ENOTDIR && lstatAt(at, name)?.type === 'symlink') return confinedError(ELOOP, 'openat', shown);
  return confinedError(errno, 'openat', shown);
}

/** RESOLVE_IN_ROOT by hand: links are read and their text resolved from the link's directory, or the root. */
function walkInRoot(root: number, path: string, flags: number, mode: number): number {
  const stack: number[] = [];
  const top = (): number => stack[stack.length - 1] ?? root;
  let pending = path.split('/').filter((name) => name !== '' && name !== '.');
  let links = 0;
  try {
    for (;;) {
      const name = pending.shift();
      if (name === undefined) {
        const fd = openat(top(), '.', flags | O_CLOEXEC, mode);
        return checked(fd, 'openat', path);
      }
      if (name === '..') {
        const left = stack.pop();
        if (left !== undefined) closeSync(left);
        continue;
      }
      const fd = openat(top(), cPath(name), O_PATH | constants.O_NOFOLLOW | O_CLOEXEC, 0);
      if (fd < 0) {
        const errno = lastErrno();
        const creates = errno === ENOENT && pending.length === 0 && (flags & constants.O_CREAT) !== 0;
        if (!creates) throw confinedError(errno, 'openat', path);
        return checked(openat(top(), cPath(name), flags | constants.O_NOFOLLOW | O_CLOEXEC, mode), 'openat', path);
      }
      if (lstatAt(fd, '')?.type === 'symlink' && !(pending.length === 0 && (flags & constants.O_NOFOLLOW) !== 0)) {
        const target = readLinkAt(fd, '', path);
        closeSync(fd);
        if (++links > MAX_LINKS) throw confinedError(ELOOP, 'openat', path);
        if (target.startsWith('/')) while (stack.length > 0) closeSync(stack.pop() ?? -1);
        pending = [...target.split('/').filter((part) => part !== '' && part !== '.'), ...pending];
        continue;
      }
      if (pending.length > 0) {
        stack.push(fd);
        continue;
      }
      closeSync(fd);
      return checked(openat(top(), cPath(name), flags | constants.O_NOFOLLOW | O_CLOEXEC, mode), 'openat', path);
    }
  } finally {
    for (const fd of stack) closeSync(fd);
  }
}

/** PATH_MAX; a longer link cannot exist. */
const linkBytes = new Uint8Array(4096);

function readLinkAt(fd: number, name: string, shown: string): string {
  const length = checked(readlinkat(fd, cPath(name), linkBytes, linkBytes.length), 'readlink', shown);
  return decodePath(linkBytes.subarray(0, length));
}

function confinedError(errno: number, syscall: string, path: string): BuildError {
  if (errno === ELOOP) return hostile('a symbolic link is in the way of a path', path);
  if (errno === EXDEV) return hostile('a path that leaves its root', path);
  return systemError(errno, syscall, path);
}

function hostile(what: string, path: string): BuildError {
  return new BuildError({
    code: 'hostile',
    message: `${what}: ${JSON.stringify(path)}`,
    hint: 'it comes from an archive, image or directory that cannot be trusted',
  });
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof BuildError ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
}
