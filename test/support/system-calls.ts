/**
 * What the kernel was asked for, by the program as it is installed, its threads and children, seen by strace. In distinction
 * from `count-calls.ts`, nothing can be done past it, and bytes are counted, too.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

/** By what they do to a path or descriptor; other calls (memory, waiting, time) say nothing about work. */
const KINDS: Readonly<Record<string, Kind>> = {
  ...named('open', 'open openat openat2 creat'),
  ...named('stat', 'stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat'),
  ...named('list', 'getdents64'),
  ...named('read', 'read pread64 readv preadv preadv2 copy_file_range sendfile'),
  ...named('change', 'mkdir mkdirat rename renameat renameat2 unlink unlinkat rmdir link linkat symlink symlinkat'),
  ...named('truncate', 'truncate ftruncate'),
  ...named('sync', 'fsync fdatasync sync_file_range syncfs'),
  ...named('run', 'execve execveat'),
  ...named('start', 'clone clone3 fork vfork'),
};

type Kind = 'open' | 'stat' | 'list' | 'read' | 'change' | 'truncate' | 'sync' | 'run' | 'start';

function named(kind: Kind, names: string): Readonly<Record<string, Kind>> {
  return Object.fromEntries(names.split(' ').map((name) => [name, kind]));
}

export interface SystemCall {
  readonly kind: Kind;
  /** Absolute; empty where the call has none. */
  readonly path: string;
  /** What it returned: bytes, for reads. */
  readonly result: number;
  readonly text: string;
}

/** The calls of one run of a program. */
export class SystemCalls {
  readonly all: readonly SystemCall[];

  constructor(all: readonly SystemCall[]) {
    this.all = all;
  }

  /** Those of one kind that name a path at or below `below`. */
  of(kind: Kind, below = ''): readonly SystemCall[] {
    return this.all.filter((call) => call.kind === kind && isBelow(call.path, below));
  }

  /** The paths of these, in order. */
  paths(kind: Kind, below = ''): readonly string[] {
    return this.of(kind, below).map(({ path }) => path);
  }

  /** Bytes that were read of each file below `below`. */
  bytesRead(below: string): ReadonlyMap<string, number> {
    const bytes = new Map<string, number>();
    for (const { path, result } of this.of('read', below))
      bytes.set(path, (bytes.get(path) ?? 0) + Math.max(0, result));
    return bytes;
  }

  /** Programs that were started, without the first. */
  get programs(): readonly string[] {
    return this.of('run')
      .filter(({ result }) => result === 0)
      .slice(1)
      .map(({ path }) => path);
  }

  get threads(): number {
    return this.of('start').filter(({ text }) => text.includes('CLONE_THREAD')).length;
  }
}

function isBelow(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}

/** Runs a program to its end, which has to be a good one. */
export function systemCalls(
  program: readonly string[],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
): SystemCalls {
  const directory = mkdtempSync('/var/tmp/slipway-calls-');
  try {
    // A file each thread: no call is cut in two by another's.
    const output = join(directory, 'of');
    const strace = ['-ff', '--seccomp-bpf', '-y', '-s0', '-e', `trace=?${Object.keys(KINDS).join(',?')}`, '-o', output];
    // Paths are shown whole whatever the length of strings.
    const run = spawnSync('strace', [...strace, ...program], { ...options, encoding: 'utf8' });
    expect(run.error).toBeUndefined();
    expect(run.status, run.stderr).toBe(0);
    const lines = readdirSync(directory).flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'));
    return new SystemCalls(lines.flatMap((line) => callOf(line) ?? []));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `openat(AT_FDCWD</cwd>, "/a", O_RDONLY) = 3</a>`, `read(3</a>, ""..., 100) = 7`; undefined for exits and signals. */
function callOf(text: string): SystemCall | undefined {
  const [, name = '', first = ''] = /^(\w+)\((?:(?:AT_FDCWD|\d+)?(?:<([^>]*)>)?)?/.exec(text) ?? [];
  const kind = KINDS[name];
  if (kind === undefined) return undefined;
  const [, quoted] = /"((?:[^"\\]|\\.)*)"/.exec(text) ?? [];
  const isPath = kind !== 'read' && kind !== 'list' && kind !== 'sync' && kind !== 'start' && quoted !== undefined;
  const path = !isPath ? first : quoted.startsWith('/') ? quoted : join(first, quoted);
  return { kind, path, result: Number(/ = (-?\d+)[^=]*$/.exec(text)?.[1] ?? 0), text };
}
