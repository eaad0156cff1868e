/**
 * Calls into libc through koffi, loaded at the first call of any function here, never at import: a fully cached build
 * needs none. Only fixed signatures over integers, strings and buffers are used, so nothing depends on a libc's
 * structures: glibc and musl, x64 and arm64 are the same to us but for the numbers in {@link SYSCALLS}.
 */
import { BuildError } from '../contracts/index.ts';
import { systemError } from './errno.ts';
import { loadKoffi, type BoundFunction, type Koffi } from './koffi.ts';
import { encodePath, type HostPath } from './path.ts';

/** What a C parameter takes; buffers are passed by address and must outlive the call. */
export type NativeArgument = number | bigint | string | Uint8Array | null;
/** A bound C function; the result of a `long` is a number as all our results fit in 53 bits. */
export type NativeFunction = (...args: readonly NativeArgument[]) => number;

type ParameterType = 'int' | 'long' | 'ulong' | 'uint' | 'const char *' | 'void *' | 'size_t' | 'int64_t';

let koffi: Koffi | undefined;
let library: ReturnType<Koffi['load']> | undefined;

function bind(name: string, parameters: readonly ParameterType[], result: 'int' | 'long'): BoundFunction {
  if (koffi === undefined || library === undefined) {
    try {
      koffi = loadKoffi();
      library = koffi.load(null);
    } catch (cause) {
      throw new BuildError({
        code: 'host',
        message: 'the library for system calls (koffi) cannot be loaded on this machine',
        hint: 'reinstall slipway with its optional dependencies, for this operating system and processor',
        cause,
      });
    }
  }
  return library.func(name, result, parameters);
}

/** A libc function by name, bound at its first call. Variadic ones must be named with the arguments that are used. */
export function libcFunction(
  name: string,
  parameters: readonly ParameterType[],
  result: 'int' | 'long' = 'int',
): NativeFunction {
  let bound: BoundFunction | undefined;
  return (...args) => (bound ??= bind(name, parameters, result))(...args);
}

/** The same, run on a thread of koffi's; resolves with the result. libc's errno does not survive the way back. */
export function libcFunctionAsync(
  name: string,
  parameters: readonly ParameterType[],
): (...args: readonly NativeArgument[]) => Promise<number> {
  let bound: BoundFunction | undefined;
  return (...args) =>
    new Promise((resolve, reject) => {
      bound ??= bind(name, parameters, 'int');
      bound.async(...args, (error: Error | null, result: number) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    });
}

interface SyscallNumbers {
  readonly pivot_root: number;
  readonly mknodat: number;
  readonly renameat2: number;
  readonly copy_file_range: number;
  readonly statx: number;
  readonly openat2: number;
  readonly open_tree: number;
  readonly move_mount: number;
  readonly fsopen: number;
  readonly fsconfig: number;
  readonly fsmount: number;
  readonly mount_setattr: number;
}

/** Of Linux's own tables; those from 424 on are the same everywhere. */
const SYSCALLS: Readonly<Record<string, SyscallNumbers | undefined>> = {
  x64: numbers({ pivot_root: 155, mknodat: 259, renameat2: 316, copy_file_range: 326, statx: 332 }),
  arm64: numbers({ pivot_root: 41, mknodat: 33, renameat2: 276, copy_file_range: 285, statx: 291 }),
};

function numbers(
  own: Pick<SyscallNumbers, 'pivot_root' | 'mknodat' | 'renameat2' | 'copy_file_range' | 'statx'>,
): SyscallNumbers {
  const shared = {
    open_tree: 428,
    move_mount: 429,
    fsopen: 430,
    fsconfig: 431,
    fsmount: 432,
    openat2: 437,
    mount_setattr: 442,
  };
  return { ...own, ...shared };
}

/** A system call by number, for what old libcs do not wrap. Pass 64-bit integers as `long`. */
export function syscallFunction(name: keyof SyscallNumbers, parameters: readonly ParameterType[]): NativeFunction {
  const call = libcFunction('syscall', ['long', ...parameters], 'long');
  return (...args) => {
    const table = SYSCALLS[process.arch];
    if (table === undefined) {
      throw new BuildError({ code: 'unsupported', message: `processor architecture ${process.arch} is not supported` });
    }
    return call(table[name], ...args);
  };
}

/** errno of the last synchronous call on this thread; read it before anything else runs. */
export function lastErrno(): number {
  return koffi?.errno() ?? 0;
}

/** Passes a result through; throws the error of the last call when it is negative. */
export function checked(result: number, syscall: string, path?: string): number {
  if (result < 0) throw systemError(lastErrno(), syscall, path);
  return result;
}

/**
 * A tree-form path as a C string. Strings go as they are; names that are not UTF-8 as bytes.
 * Errors: `hostile` for a NUL, at which C would silently cut the path.
 */
export function cPath(path: string): string | Buffer {
  if (path.includes('\0')) {
    throw new BuildError({ code: 'hostile', message: `a path contains a NUL character: ${JSON.stringify(path)}` });
  }
  const host: HostPath = encodePath(path);
  return typeof host === 'string' ? host : Buffer.concat([host, NUL]);
}

const NUL = Buffer.of(0);

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_EMPTY_PATH = 0x1000;
export const O_PATH = 0o10000000;
export const O_CLOEXEC = 0o2000000;
