/** Extended attributes of paths (never following the last link) and of open files. */
import { checked, cPath, lastErrno, libcFunction, type NativeFunction } from './libc.ts';
import { systemError } from './errno.ts';
import { decodePath } from './path.ts';

/** The kernel's bounds for a list and a value (linux/limits.h). */
const XATTR_MAX = 65536;
const ENODATA = 61;
const ENOTSUP = 95;

// One buffer a thread: every call copies out what it returns.
let scratch: Buffer | undefined;
function scratchBuffer(): Buffer {
  return (scratch ??= Buffer.allocUnsafeSlow(XATTR_MAX));
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

interface Family {
  readonly list: NativeFunction;
  readonly get: NativeFunction;
  readonly set: NativeFunction;
  readonly remove: NativeFunction;
}
function family(prefix: 'l' | 'f', target: 'const char *' | 'int'): Family {
  return {
    list: libcFunction(`${prefix}listxattr`, [target, 'void *', 'size_t'], 'long'),
    get: libcFunction(`${prefix}getxattr`, [target, 'const char *', 'void *', 'size_t'], 'long'),
    set: libcFunction(`${prefix}setxattr`, [target, 'const char *', 'void *', 'size_t', 'int']),
    remove: libcFunction(`${prefix}removexattr`, [target, 'const char *']),
  };
}
const byPath = family('l', 'const char *');
const byFd = family('f', 'int');

/** A host path in tree form, or an open file (not O_PATH). */
export type XattrTarget = string | number;

function call(target: XattrTarget): { family: Family; target: string | Buffer | number; name: string } {
  return typeof target === 'number'
    ? { family: byFd, target, name: `fd ${target}` }
    : { family: byPath, target: cPath(target), name: target };
}

/**
 * All attributes that this process may see, sorted by name; empty where the file system has none.
 *
 * @param wanted Names to read; the values of others are not fetched.
 */
export function readXattrs(
  target: XattrTarget,
  wanted: (name: string) => boolean = () => true,
): ReadonlyMap<string, Uint8Array> {
  const { family: calls, target: native, name: path } = call(target);
  const buffer = scratchBuffer();
  const length = calls.list(native, buffer, XATTR_MAX);
  if (length === 0) return NO_XATTRS;
  if (length < 0) {
    const errno = lastErrno();
    if (errno === ENOTSUP) return NO_XATTRS;
    throw systemError(errno, 'listxattr', path);
  }
  const names = decodePath(buffer.subarray(0, length - 1))
    .split('\0')
    .filter(wanted)
    .sort();
  const found = new Map<string, Uint8Array>();
  for (const name of names) {
    const value = readXattr(target, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** One attribute; undefined when it is not there, or the file system has none. */
export function readXattr(target: XattrTarget, name: string): Uint8Array | undefined {
  const { family: calls, target: native, name: path } = call(target);
  const buffer = scratchBuffer();
  const length = calls.get(native, cPath(name), buffer, XATTR_MAX);
  if (length >= 0) return new Uint8Array(buffer.subarray(0, length));
  const errno = lastErrno();
  if (errno === ENODATA || errno === ENOTSUP) return undefined;
  throw systemError(errno, 'getxattr', path);
}

/** Sets or replaces an attribute. `security.capability` and `trusted.*` need privilege. */
export function writeXattr(target: XattrTarget, name: string, value: Uint8Array): void {
  const { family: calls, target: native, name: path } = call(target);
  checked(calls.set(native, cPath(name), value, value.length, 0), `setxattr ${name}`, path);
}

/** Removes an attribute; no error when it is not there. */
export function removeXattr(target: XattrTarget, name: string): void {
  const { family: calls, target: native, name: path } = call(target);
  if (calls.remove(native, cPath(name)) === 0) return;
  const errno = lastErrno();
  if (errno !== ENODATA && errno !== ENOTSUP) throw systemError(errno, `removexattr ${name}`, path);
}
