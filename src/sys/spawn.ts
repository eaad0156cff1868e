/**
 * Starts programs by posix_spawn(3), which shares memory until the exec (vfork): 0.1 ms where Node's fork copies the page
 * tables of a whole JavaScript engine (1.6 ms of processor time, and page faults afterwards). For processes that start
 * many programs and nothing else; no streams, only descriptors.
 */
import { readdirSync } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import { systemError } from './errno.ts';
import { libcFunction } from './libc.ts';
import { stringArray } from './memory.ts';

const posixSpawn = libcFunction('posix_spawn', ['void *', 'const char *', 'void *', 'void *', 'void *', 'void *']);
const actionsInit = libcFunction('posix_spawn_file_actions_init', ['void *']);
const actionsDup2 = libcFunction('posix_spawn_file_actions_adddup2', ['void *', 'int', 'int']);
const actionsOpen = libcFunction('posix_spawn_file_actions_addopen', ['void *', 'int', 'const char *', 'int', 'uint']);
const actionsDestroy = libcFunction('posix_spawn_file_actions_destroy', ['void *']);
const attributesInit = libcFunction('posix_spawnattr_init', ['void *']);
const attributesFlags = libcFunction('posix_spawnattr_setflags', ['void *', 'int']);
const attributesDefaults = libcFunction('posix_spawnattr_setsigdefault', ['void *', 'void *']);
const attributesMask = libcFunction('posix_spawnattr_setsigmask', ['void *', 'void *']);
const waitpid = libcFunction('waitpid', ['int', 'void *', 'int']);

/** More than any libc's posix_spawn_file_actions_t, posix_spawnattr_t and sigset_t (80, 336 and 128 bytes). */
const STRUCTURE_SIZE = 1024;
const SIGNAL_SET_SIZE = 128;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const WNOHANG = 1;

export interface SpawnSpec {
  /** Absolute. */
  readonly path: string;
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  /** Descriptors for stdin, stdout and stderr, above 2; `null` = /dev/null. All others must be close-on-exec. */
  readonly stdio: readonly [number | null, number | null, number | null];
}

export interface SpawnedProcess {
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
}

export type ExitStatus =
  { readonly code: number; readonly signal?: undefined } | { readonly code?: undefined; readonly signal: number };

/** The child starts with default signal actions, none blocked. Errors: `host` when the program cannot be started. */
export function spawnProcess(spec: SpawnSpec): SpawnedProcess {
  const args = stringArray([spec.path, ...spec.args]);
  const env = stringArray(spec.env);
  held.add(args.keep).add(env.keep);
  const pid = new Int32Array(1);
  const actions = new Uint8Array(STRUCTURE_SIZE);
  actionsInit(actions);
  try {
    for (const [target, source] of spec.stdio.entries()) {
      if (source === null) actionsOpen(actions, target, '/dev/null', target === 0 ? 0 : 1, 0);
      else actionsDup2(actions, source, target);
    }
    const out = new Uint8Array(pid.buffer);
    const errno = posixSpawn(out, spec.path, actions, signalAttributes(), args.array, env.array);
    if (errno !== 0) {
      const error = systemError(errno, 'posix_spawn', spec.path);
      throw new BuildError({ ...error.toInit(), code: 'host' });
    }
  } finally {
    held.clear();
    actionsDestroy(actions);
  }
  return watch(pid[0] ?? 0);
}

/** What the pointers of a call lead to: collecting it before the call has returned would be too early. */
const held = new Set<unknown>();

let attributes: Uint8Array | undefined;

function signalAttributes(): Uint8Array {
  if (attributes !== undefined) return attributes;
  attributes = new Uint8Array(STRUCTURE_SIZE);
  attributesInit(attributes);
  attributesDefaults(attributes, new Uint8Array(SIGNAL_SET_SIZE).fill(0xff));
  attributesMask(attributes, new Uint8Array(SIGNAL_SET_SIZE));
  attributesFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  return attributes;
}

const fcntl = libcFunction('fcntl', ['int', 'int', 'int']);
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/**
 * Makes every descriptor above 2 close-on-exec, also those that we were started with: Node does so only for the first.
 * A program that a build starts gets what it is given, nothing else (CVE-2024-21626).
 */
export function closeOnExec(): void {
  for (const name of readdirSync('/proc/self/fd')) if (Number(name) > 2) fcntl(Number(name), F_SETFD, FD_CLOEXEC);
}

const waiting = new Map<number, (status: ExitStatus) => void>();

function watch(pid: number): SpawnedProcess {
  const exited = new Promise<ExitStatus>((resolve) => waiting.set(pid, resolve));
  if (waiting.size === 1) process.on('SIGCHLD', collect);
  // It may have ended before the handler was there.
  collect();
  return { pid, exited };
}

function collect(): void {
  const status = new Int32Array(1);
  for (const [pid, resolve] of waiting) {
    if (waitpid(pid, new Uint8Array(status.buffer), WNOHANG) === 0) continue;
    waiting.delete(pid);
    const bits = status[0] ?? 0;
    const signal = bits & 0x7f;
    resolve(signal === 0 ? { code: (bits >> 8) & 0xff } : { signal });
  }
  if (waiting.size === 0) process.off('SIGCHLD', collect);
}
