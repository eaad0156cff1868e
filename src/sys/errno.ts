/**
 * Kernel errors as {@link BuildError}. The cause keeps code, syscall and path, in the form of Node's own errors, for
 * callers that act on one of them (`errnoOf`).
 */
import { getSystemErrorMap } from 'node:util';
import { BuildError, type ErrorCode } from '../contracts/index.ts';

/** As `NodeJS.ErrnoException`; `code` is the symbolic name. */
export interface SystemErrorFacts {
  /** `EACCES`, `ENOSPC`, ... */
  readonly code: string;
  readonly syscall: string;
  readonly path?: string | undefined;
}

class SystemError extends Error implements SystemErrorFacts {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly syscall: string;
  readonly path: string | undefined;

  constructor(code: string, text: string, syscall: string, path: string | undefined) {
    super(`${code}: ${text}, ${syscall}${path === undefined ? '' : ` '${path}'`}`);
    this.code = code;
    this.syscall = syscall;
    this.path = path;
  }
}

/** Name and text of a Linux error number. */
function describe(errno: number): { readonly code: string; readonly text: string } {
  const known = getSystemErrorMap().get(-errno);
  if (known !== undefined) return { code: known[0], text: known[1] };
  const own = OWN_NAMES.get(errno);
  return own ?? { code: `errno ${errno}`, text: 'unknown error' };
}

/** Linux errors that libuv has no name for; the same numbers on x64 and arm64 (asm-generic/errno.h). */
const OWN_NAMES: ReadonlyMap<number, { readonly code: string; readonly text: string }> = new Map([
  [15, { code: 'ENOTBLK', text: 'block device required' }],
  [122, { code: 'EDQUOT', text: 'disk quota exceeded' }],
  [116, { code: 'ESTALE', text: 'stale file handle' }],
]);

/**
 * The error of a failed system call.
 *
 * @param errno Positive, as libc leaves it.
 * @param path In tree form; for the message.
 */
export function systemError(errno: number, syscall: string, path?: string): BuildError {
  const { code, text } = describe(errno);
  return buildErrorOf(code, text, syscall, path, new SystemError(code, text, syscall, path));
}

/**
 * Turns what `node:fs` throws into a {@link BuildError}; a BuildError comes back as it is, anything else as `internal`.
 *
 * @param doing What was being done, for errors without a path: `write the layer`.
 */
export function asBuildError(error: unknown, doing?: string): BuildError {
  if (error instanceof BuildError) return error;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error) {
    const { code, syscall } = error;
    const from = 'path' in error && typeof error.path === 'string' ? error.path : undefined;
    // Of a copy or a renaming: the place that was written to is more often the one at fault.
    const to = 'dest' in error && typeof error.dest === 'string' ? error.dest : undefined;
    const path = to === undefined ? from : `${from ?? ''} -> ${to}`;
    const text = /^[A-Z0-9]+: ([^,]*)/.exec(error.message)?.[1] ?? error.message;
    return buildErrorOf(code, text, typeof syscall === 'string' ? syscall : 'system call', path ?? doing, error);
  }
  const message = error instanceof Error ? error.message : String(error);
  return new BuildError({
    code: 'internal',
    message: doing === undefined ? message : `${doing}: ${message}`,
    cause: error,
  });
}

/** The symbolic errno behind an error (`ENOENT`), of a BuildError's cause or of a Node error. */
export function errnoOf(error: unknown): string | undefined {
  const origin = error instanceof BuildError ? error.cause : error;
  if (origin instanceof Error && 'code' in origin && typeof origin.code === 'string') return origin.code;
  return undefined;
}

function buildErrorOf(
  code: string,
  text: string,
  syscall: string,
  path: string | undefined,
  cause: unknown,
): BuildError {
  const where = path === undefined ? '' : `: ${path}`;
  const { kind, hint } = KINDS[code] ?? { kind: 'host', hint: undefined };
  return new BuildError({ code: kind, message: `${text} (${code}, ${syscall})${where}`, hint, cause });
}

const KINDS: Readonly<Record<string, { readonly kind: ErrorCode; readonly hint: string | undefined } | undefined>> = {
  ENOSPC: { kind: 'disk-full', hint: 'free some space or inodes there, or choose another place with SLIPWAY_ROOT' },
  EDQUOT: {
    kind: 'disk-full',
    hint: 'your disk quota is used up: free some space, or choose another place with SLIPWAY_ROOT',
  },
  EACCES: { kind: 'permission', hint: 'check owner and mode of the path, or run as the user who owns it' },
  EPERM: { kind: 'permission', hint: 'this needs a privilege that the process does not have: run as root' },
  EROFS: { kind: 'permission', hint: 'the file system is mounted read-only' },
  ENOSYS: { kind: 'host', hint: 'this kernel lacks the system call, or a sandbox forbids it' },
  EMFILE: { kind: 'host', hint: 'too many open files: raise the limit (ulimit -n)' },
  ENFILE: { kind: 'host', hint: 'the system has too many open files' },
};
