/** Mounts: mount(2) and umount2(2), overlayfs with any number of layers, and mounts by descriptor (Linux 5.2). */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_PATH,
  checked,
  cPath,
  lastErrno,
  libcFunction,
  syscallFunction,
} from './libc.ts';
import { systemError } from './errno.ts';
import { encodePath } from './path.ts';

const rawMount = libcFunction('mount', ['const char *', 'const char *', 'const char *', 'ulong', 'const char *']);
const rawUmount2 = libcFunction('umount2', ['const char *', 'int']);
const fsopen = syscallFunction('fsopen', ['const char *', 'uint']);
const fsconfig = syscallFunction('fsconfig', ['int', 'uint', 'const char *', 'const char *', 'int']);
const fsmount = syscallFunction('fsmount', ['int', 'uint', 'uint']);
const moveMount = syscallFunction('move_mount', ['int', 'const char *', 'int', 'const char *', 'uint']);
const openTree = syscallFunction('open_tree', ['int', 'const char *', 'uint']);
const mountSetattr = syscallFunction('mount_setattr', ['int', 'const char *', 'uint', 'void *', 'size_t']);

/** Flags of mount(2) (linux/mount.h). */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;

/** Flags of umount2(2). */
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

export interface MountSpec {
  readonly source?: string | undefined;
  /** Host path in tree form. */
  readonly target: string;
  /** File system type, absent for binds and changes of propagation. */
  readonly type?: string | undefined;
  /** MS_* or'ed. */
  readonly flags?: number | undefined;
  /** Options as in mount(8)'s `-o`; at most one page. */
  readonly data?: string | undefined;
}

/** mount(2). */
export function mount(spec: MountSpec): void {
  const { source, target, type, flags = 0, data } = spec;
  const native = source === undefined ? null : cPath(source);
  const what = `mount ${type ?? (flags & MS_BIND ? 'bind' : '')}`.trimEnd();
  checked(rawMount(native, cPath(target), type ?? null, flags, data === undefined ? null : cPath(data)), what, target);
}

/** umount2(2); the last component is never followed. False when nothing was mounted there. */
export function umount(target: string, flags = 0): boolean {
  if (rawUmount2(cPath(target), flags | UMOUNT_NOFOLLOW) === 0) return true;
  const errno = lastErrno();
  if (errno === EINVAL || errno === ENOENT) return false;
  throw systemError(errno, 'umount', target);
}

const ENOENT = 2;
const EINVAL = 22;

export interface OverlaySpec {
  /** Bottom to top, host paths in tree form. */
  readonly lower: readonly string[];
  /** Absent = read-only; then at least two `lower` are needed. */
  readonly upper?: { readonly directory: string; readonly work: string } | undefined;
  readonly target: string;
  /** Further options: `['userxattr', true]`, `['metacopy', 'off']`, `['volatile', true]`. */
  readonly options?: readonly (readonly [name: string, value: string | true])[] | undefined;
  /** MS_NODEV and the like for mount(2); MOUNT_ATTR_* have the same first four bits. */
  readonly flags?: number | undefined;
}

/** How an overlay was mounted. */
export type OverlayMethod = 'fsconfig' | 'mount';

/**
 * Mounts overlayfs. `fsconfig("lowerdir+")` takes one layer a call, so their number and paths are not bounded by a page
 * of options; kernels before it get mount(2), with paths through descriptors when they are too long.
 *
 * @param method For tests; absent = the first that works.
 */
export function mountOverlay(spec: OverlaySpec, method?: OverlayMethod): OverlayMethod {
  if (method !== 'mount') {
    const failure = overlayByFsconfig(spec);
    if (failure === undefined) return 'fsconfig';
    if (method === 'fsconfig' || !failure.unsupported) throw failure.error;
  }
  overlayByMount(spec);
  return 'mount';
}

interface OverlayFailure {
  /** The kernel does not know this way of mounting. */
  readonly unsupported: boolean;
  readonly error: BuildError;
}

const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;

function overlayByFsconfig(spec: OverlaySpec): OverlayFailure | undefined {
  const context = fsopen('overlay', FSOPEN_CLOEXEC);
  if (context < 0) return { unsupported: true, error: systemError(lastErrno(), 'fsopen overlay', spec.target) };
  try {
    const set = (name: string, value: string | true): OverlayFailure | undefined => {
      const result =
        value === true
          ? fsconfig(context, FSCONFIG_SET_FLAG, name, null, 0)
          : fsconfig(context, FSCONFIG_SET_STRING, name, cPath(value), 0);
      if (result === 0) return undefined;
      const errno = lastErrno();
      const unsupported = errno === EINVAL && name === 'lowerdir+';
      return {
        unsupported,
        error: contextError(context, errno, `overlay option ${name}`, typeof value === 'string' ? value : spec.target),
      };
    };
    const settings: (readonly [string, string | true])[] = [];
    for (let i = spec.lower.length - 1; i >= 0; i--) settings.push(['lowerdir+', spec.lower[i] ?? '']);
    if (spec.upper !== undefined) settings.push(['upperdir', spec.upper.directory], ['workdir', spec.upper.work]);
    settings.push(...(spec.options ?? []));
    for (const [name, value] of settings) {
      const failure = set(name, value);
      if (failure !== undefined) return failure;
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0) !== 0) {
      return { unsupported: false, error: contextError(context, lastErrno(), 'mount overlay', spec.target) };
    }
    const mounted = fsmount(context, FSMOUNT_CLOEXEC, (spec.flags ?? 0) & 0xf);
    if (mounted < 0)
      return { unsupported: false, error: contextError(context, lastErrno(), 'fsmount overlay', spec.target) };
    try {
      moveMountTo(mounted, spec.target);
    } finally {
      closeSync(mounted);
    }
    return undefined;
  } finally {
    closeSync(context);
  }
}

/** The error with the kernel's own words, which fsopen contexts keep for readers. */
function contextError(context: number, errno: number, syscall: string, path: string): BuildError {
  const base = systemError(errno, syscall, path);
  const detail: string[] = [];
  const buffer = Buffer.alloc(1024);
  try {
    for (let lines = 0; lines < 8; lines++) {
      const length = readSync(context, buffer);
      if (length === 0) break;
      detail.push(
        buffer
          .toString('utf8', 0, length)
          .replace(/^[a-z] /, '')
          .trimEnd(),
      );
    }
  } catch {
    // ENODATA: no (further) message.
  }
  return new BuildError({ ...base.toInit(), detail });
}

/** One page, with room for the terminating NUL. */
const MAX_OPTIONS = 4095;

function overlayByMount(spec: OverlaySpec): void {
  const direct = overlayOptions(spec, spec.lower.map(escapeOption));
  if (Buffer.byteLength(direct) <= MAX_OPTIONS) {
    mountOverlayString(spec, direct);
    return;
  }
  const common = commonParent(spec.lower);
  const fd = openSync(encodePath(common), O_PATH | constants.O_DIRECTORY | O_CLOEXEC);
  try {
    const short = spec.lower.map((path) => `/proc/self/fd/${fd}/${escapeOption(path.slice(common.length + 1))}`);
    const data = overlayOptions(spec, short);
    if (Buffer.byteLength(data) > MAX_OPTIONS) {
      throw new BuildError({
        code: 'host',
        message: `this kernel cannot mount ${spec.lower.length} layers at once`,
        hint: 'use Linux 6.8 or newer, or an image with fewer layers',
      });
    }
    mountOverlayString(spec, data);
  } finally {
    closeSync(fd);
  }
}

function mountOverlayString(spec: OverlaySpec, data: string): void {
  mount({ source: 'overlay', target: spec.target, type: 'overlay', flags: spec.flags ?? 0, data });
}

function overlayOptions(spec: OverlaySpec, lower: readonly string[]): string {
  const parts = [`lowerdir=${lower.toReversed().join(':')}`];
  if (spec.upper !== undefined) {
    parts.push(`upperdir=${escapeComma(spec.upper.directory)}`, `workdir=${escapeComma(spec.upper.work)}`);
  }
  for (const [name, value] of spec.options ?? []) parts.push(value === true ? name : `${name}=${escapeComma(value)}`);
  return parts.join(',');
}

/** `lowerdir` is split at colons and options at commas; a backslash protects both (overlayfs.rst). */
function escapeOption(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}

function escapeComma(path: string): string {
  return path.replace(/[\\,]/g, '\\$&');
}

function commonParent(paths: readonly string[]): string {
  let common = paths[0] ?? '';
  common = common.slice(0, common.lastIndexOf('/'));
  for (const path of paths) {
    while (!path.startsWith(`${common}/`)) common = common.slice(0, common.lastIndexOf('/'));
  }
  return common === '' ? '/' : common;
}

const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;

/**
 * A detached copy of the mount at `path` below `directoryFd` (`''` = the descriptor itself): a bind mount that is not
 * yet anywhere. What it shows is decided here, once; no name is resolved again when it is attached (CVE-2024-23651).
 */
export function cloneMount(directoryFd: number, path: string, recursive: boolean): number {
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | (path === '' ? AT_EMPTY_PATH : 0) | (recursive ? AT_RECURSIVE : 0);
  return checked(openTree(directoryFd, cPath(path), flags), 'open_tree', path);
}

export interface MountAttributes {
  readonly readonly?: boolean | undefined;
  readonly nosuid?: boolean | undefined;
  readonly nodev?: boolean | undefined;
  readonly noexec?: boolean | undefined;
}

/** Sets attributes of a mount by descriptor (Linux 5.12). */
export function setMountAttributes(mountFd: number, attributes: MountAttributes, recursive: boolean): void {
  const bits =
    (attributes.readonly === true ? MS_RDONLY : 0) |
    (attributes.nosuid === true ? MS_NOSUID : 0) |
    (attributes.nodev === true ? MS_NODEV : 0) |
    (attributes.noexec === true ? MS_NOEXEC : 0);
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd; 64 bits each.
  const attr = new Uint8Array(32);
  new DataView(attr.buffer).setBigUint64(0, BigInt(bits), true);
  checked(
    mountSetattr(mountFd, '', AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), attr, attr.length),
    'mount_setattr',
  );
}

/** Attaches a detached mount at `target` (host path), or at `target` below `directoryFd`; `''` = the descriptor itself. */
export function moveMountTo(mountFd: number, target: string, directoryFd: number = AT_FDCWD): void {
  const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
  const flags = MOVE_MOUNT_F_EMPTY_PATH | (target === '' ? MOVE_MOUNT_T_EMPTY_PATH : 0);
  checked(moveMount(mountFd, '', directoryFd, cPath(target), flags), 'move_mount', target);
}

/** Mounts `source` on `target`; read-only binds are made so before they are visible. */
export function bindMount(
  source: string,
  target: string,
  options: { readonly readonly: boolean; readonly recursive?: boolean },
): void {
  const fd = cloneMount(AT_FDCWD, source, options.recursive ?? true);
  try {
    if (options.readonly) setMountAttributes(fd, { readonly: true }, options.recursive ?? true);
    moveMountTo(fd, target);
  } finally {
    closeSync(fd);
  }
}
