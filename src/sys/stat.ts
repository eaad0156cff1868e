/** Exact file metadata and its setters, never following the last symbolic link. */
import { lstatSync, chmodSync, lchownSync } from 'node:fs';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  checked,
  cPath,
  lastErrno,
  libcFunction,
  syscallFunction,
} from './libc.ts';
import { asBuildError, systemError } from './errno.ts';
import { encodePath } from './path.ts';

export type NodeType = 'directory' | 'file' | 'symlink' | 'char-device' | 'block-device' | 'fifo' | 'socket';

export interface ExactStat {
  readonly type: NodeType;
  /** 0..0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  readonly nlink: number;
  /** Device number of the file system, for comparing. */
  readonly dev: number;
  /** Inode; a bigint as overlayfs uses the upper bits. */
  readonly ino: bigint;
  /** Of a device node. */
  readonly major: number;
  readonly minor: number;
  /** Whole seconds since the epoch, may be negative; the nanoseconds are always added. */
  readonly mtime: number;
  readonly mtimeNsec: number;
  readonly ctime: number;
  readonly ctimeNsec: number;
}

const NSEC = 1_000_000_000n;

/**
 * lstat with nanoseconds; undefined when nothing is there. Node's own call with bigints: 1.8 us against 1.5 us by
 * statx over koffi, whose loading costs as much as 20,000 of the differences.
 */
export function lstat(path: string): ExactStat | undefined {
  let found;
  try {
    found = lstatSync(encodePath(path), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    throw asBuildError(error);
  }
  if (found === undefined) return undefined;
  const mode = Number(found.mode);
  const rdev = Number(found.rdev);
  const mtime = floorSeconds(found.mtimeNs);
  const ctime = floorSeconds(found.ctimeNs);
  return {
    type: typeOf(mode),
    mode: mode & 0o7777,
    uid: Number(found.uid),
    gid: Number(found.gid),
    size: Number(found.size),
    nlink: Number(found.nlink),
    dev: Number(found.dev),
    ino: found.ino,
    major: rdev === 0 ? 0 : majorOf(rdev),
    minor: rdev === 0 ? 0 : minorOf(rdev),
    mtime: Number(mtime),
    mtimeNsec: Number(found.mtimeNs - mtime * NSEC),
    ctime: Number(ctime),
    ctimeNsec: Number(found.ctimeNs - ctime * NSEC),
  };
}

/** Numbers that {@link lstatInto} writes for each entry. */
export const STAT_WIDTH = 12;

/** Which of them is which. `mode` holds the type, too; the inode is a 64-bit integer, all others are doubles. */
export const STAT = {
  mode: 0,
  uid: 1,
  gid: 2,
  size: 3,
  nlink: 4,
  dev: 5,
  ino: 6,
  rdev: 7,
  mtime: 8,
  mtimeNsec: 9,
  ctime: 10,
  ctimeNsec: 11,
} as const;

/** The last columns written to, as integers: making a view takes as long as a quarter of a stat. */
let inodes = new BigUint64Array(0);

/**
 * lstat into eight bytes a field from `at`, to be kept as it is and sent between threads; false when nothing is there.
 *
 * @param columns From the start of its buffer.
 * @throws Error the system's own
 */
export function lstatInto(path: string, columns: Float64Array<ArrayBuffer>, at: number): boolean {
  const found = lstatSync(encodePath(path), { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return false;
  const mtime = floorSeconds(found.mtimeNs);
  const ctime = floorSeconds(found.ctimeNs);
  columns[at + STAT.mode] = Number(found.mode);
  columns[at + STAT.uid] = Number(found.uid);
  columns[at + STAT.gid] = Number(found.gid);
  columns[at + STAT.size] = Number(found.size);
  columns[at + STAT.nlink] = Number(found.nlink);
  columns[at + STAT.dev] = Number(found.dev);
  columns[at + STAT.rdev] = Number(found.rdev);
  columns[at + STAT.mtime] = Number(mtime);
  columns[at + STAT.mtimeNsec] = Number(found.mtimeNs - mtime * NSEC);
  columns[at + STAT.ctime] = Number(ctime);
  columns[at + STAT.ctimeNsec] = Number(found.ctimeNs - ctime * NSEC);
  if (inodes.buffer !== columns.buffer) inodes = new BigUint64Array(columns.buffer);
  inodes[at + STAT.ino] = found.ino;
  return true;
}

function floorSeconds(nanoseconds: bigint): bigint {
  const seconds = nanoseconds / NSEC;
  return nanoseconds < 0n && seconds * NSEC !== nanoseconds ? seconds - 1n : seconds;
}

const STATX_BASIC_STATS = 0x7ff;
/** struct statx (linux/stat.h), laid out the same on every architecture. */
const STATX_SIZE = 256;
const statxBytes = new Uint8Array(STATX_SIZE);
const statxView = new DataView(statxBytes.buffer);
const statx = syscallFunction('statx', ['int', 'const char *', 'int', 'uint', 'void *']);

/** lstat of `name` below an open directory; undefined when nothing is there. `''` = the descriptor itself. */
export function lstatAt(directoryFd: number, name: string): ExactStat | undefined {
  const flags = name === '' ? AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW : AT_SYMLINK_NOFOLLOW;
  if (statx(directoryFd, cPath(name), flags, STATX_BASIC_STATS, statxBytes) !== 0) {
    const errno = lastErrno();
    if (errno === 2) return undefined;
    throw systemError(errno, 'statx', name);
  }
  const view = statxView;
  const mode = view.getUint16(0x1c, true);
  return {
    type: typeOf(mode),
    mode: mode & 0o7777,
    uid: view.getUint32(0x14, true),
    gid: view.getUint32(0x18, true),
    size: Number(view.getBigUint64(0x28, true)),
    nlink: view.getUint32(0x10, true),
    dev: makeDev(view.getUint32(0x88, true), view.getUint32(0x8c, true)),
    ino: view.getBigUint64(0x20, true),
    major: view.getUint32(0x80, true),
    minor: view.getUint32(0x84, true),
    mtime: Number(view.getBigInt64(0x70, true)),
    mtimeNsec: view.getUint32(0x78, true),
    ctime: Number(view.getBigInt64(0x60, true)),
    ctimeNsec: view.getUint32(0x68, true),
  };
}

/** Of a mode as the kernel gives it. */
export function typeOf(mode: number): NodeType {
  switch (mode & 0o170000) {
    case 0o040000:
      return 'directory';
    case 0o120000:
      return 'symlink';
    case 0o020000:
      return 'char-device';
    case 0o060000:
      return 'block-device';
    case 0o010000:
      return 'fifo';
    case 0o140000:
      return 'socket';
    default:
      return 'file';
  }
}

// libc's dev_t (sys/sysmacros.h): 32 bits of major and minor, interleaved. Arithmetic, as bits above 31 are in use.
export function majorOf(dev: number): number {
  const high = Math.floor(dev / 2 ** 32);
  return ((high & 0xfffff000) | ((dev >>> 8) & 0xfff)) >>> 0;
}

export function minorOf(dev: number): number {
  const high = Math.floor(dev / 2 ** 32);
  return (((high << 20) & 0xffffff00) | ((dev >>> 12) & 0xfff00) | (dev & 0xff)) >>> 0;
}

function makeDev(major: number, minor: number): number {
  const low = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
  const high = (((minor & 0xfff00000) >>> 20) | (major & 0xfffff000)) >>> 0;
  return high * 2 ** 32 + low;
}

const timesBytes = new Uint8Array(32);
const timesView = new DataView(timesBytes.buffer);
const utimensat = libcFunction('utimensat', ['int', 'const char *', 'void *', 'int']);
const futimens = libcFunction('futimens', ['int', 'void *']);
/** Leaves a time as it is (linux/stat.h). */
const UTIME_OMIT = 0x3ffffffe;

/** struct timespec[2] of 64-bit Linux; the access time is set to the modification time, as unpacking does everywhere. */
function fillTimes(seconds: number, nanoseconds: number): Uint8Array {
  const whole = BigInt(seconds);
  timesView.setBigInt64(0, whole, true);
  timesView.setBigInt64(8, BigInt(nanoseconds), true);
  timesView.setBigInt64(16, whole, true);
  timesView.setBigInt64(24, BigInt(nanoseconds), true);
  return timesBytes;
}

/** Sets access and modification time, of a symbolic link itself where `path` is one. */
export function utimens(path: string, seconds: number, nanoseconds: number): void {
  utimensAt(AT_FDCWD, path, seconds, nanoseconds);
}

/** {@link utimens} below an open directory. */
export function utimensAt(directoryFd: number, name: string, seconds: number, nanoseconds: number): void {
  const times = fillTimes(seconds, nanoseconds);
  checked(utimensat(directoryFd, cPath(name), times, AT_SYMLINK_NOFOLLOW), 'utimensat', name);
}

/** {@link utimens} of an open file. */
export function futimensNs(fd: number, seconds: number, nanoseconds: number): void {
  checked(futimens(fd, fillTimes(seconds, nanoseconds)), 'futimens');
}

/** Sets the modification time only. */
export function setModificationTime(path: string, seconds: number, nanoseconds: number): void {
  const times = fillTimes(seconds, nanoseconds);
  timesView.setBigInt64(8, BigInt(UTIME_OMIT), true);
  checked(utimensat(AT_FDCWD, cPath(path), times, AT_SYMLINK_NOFOLLOW), 'utimensat', path);
}

/** Owner of a path, of a symbolic link itself. Clears setuid and setgid of files: set the mode afterwards. */
export function lchown(path: string, uid: number, gid: number): void {
  try {
    lchownSync(encodePath(path), uid, gid);
  } catch (error) {
    throw asBuildError(error);
  }
}

/** Permission bits of a file or directory. Follows a link: only for paths that are known to be none. */
export function chmod(path: string, mode: number): void {
  try {
    chmodSync(encodePath(path), mode);
  } catch (error) {
    throw asBuildError(error);
  }
}

const mknodat = syscallFunction('mknodat', ['int', 'const char *', 'uint', 'ulong']);
const NODE_TYPES = {
  'char-device': 0o020000,
  'block-device': 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
  file: 0o100000,
};

export interface NodeSpec {
  readonly type: keyof typeof NODE_TYPES;
  /** 0..0o7777; subject to umask. */
  readonly mode: number;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
}

/** Makes a device, fifo, socket or empty file. The char device 0/0 is overlayfs's whiteout, and needs no privilege. */
export function mknod(path: string, spec: NodeSpec): void {
  mknodAt(AT_FDCWD, path, spec);
}

/** {@link mknod} below an open directory. */
export function mknodAt(directoryFd: number, name: string, spec: NodeSpec): void {
  const { major = 0, minor = 0 } = spec;
  // The kernel's new_encode_dev (linux/kdev_t.h), 32 bits; not libc's 64.
  const dev = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
  checked(mknodat(directoryFd, cPath(name), NODE_TYPES[spec.type] | spec.mode, dev), 'mknod', name);
}
