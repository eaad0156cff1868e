/** Starts a step through the OCI runtime, streams its output, and ends it when asked. */
import { closeSync, readFileSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecResult } from '../../contracts/index.ts';
import { BuildError } from '../../contracts/index.ts';
import { makePipe } from '../../sys/pipe.ts';
import { spawnProcess, type SpawnSpec, type SpawnedProcess } from '../../sys/spawn.ts';
import type { Runtime } from '../host.ts';
import { childrenOf, endOrphans, killQuietly } from './orphans.ts';

export interface StepOutput {
  /** May return a promise: the step's output is not read on before it resolves. */
  readonly onOutput: (stream: 1 | 2, data: Buffer) => Promise<void> | undefined;
}

export interface RunOptions extends StepOutput {
  readonly runtime: Runtime;
  /** Directory of the runtime's own state, on a tmpfs of the executor's namespace. */
  readonly stateRoot: string;
  /** Directory with `config.json`; pid and log files are written beside it. */
  readonly bundle: string;
  readonly id: string;
  /** File that lets what writes `0` to it out of the device guard; undefined = stay in it. */
  readonly wayOut?: string | undefined;
  /** Descriptors of a terminal to hand over, instead of streaming. */
  readonly terminal?: readonly [number, number, number] | undefined;
  readonly signal: AbortSignal;
  /** Called with the pid of the runtime. */
  readonly onStarted?: ((pid: number) => void) | undefined;
}

/** Of the runtime itself, which runs no programs but hooks. */
const RUNTIME_ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/** Signals that mean a crash or a kill, by the 128 + number that shells and runtimes report. */
const DEADLY: readonly NodeJS.Signals[] = ['SIGILL', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGKILL', 'SIGSEGV', 'SIGSYS'];

/**
 * Runs to the end, whatever the exit code.
 * Errors: `cancelled`; `run-failed` with exit code 127 or 126 when the program cannot be started; `host` when the
 * runtime fails for another reason, with what it said.
 */
export async function runContainer(options: RunOptions): Promise<ExecResult> {
  const { runtime, bundle, signal } = options;
  if (isAborted(signal)) throw cancelled();
  const files = { pid: `${bundle}/pid`, log: `${bundle}/log` };
  const stdio = options.terminal === undefined ? streamedOutput(options) : inheritedOutput(options.terminal);
  let child: SpawnedProcess;
  try {
    child = spawnProcess({
      ...outOfGuard(options.wayOut, runtime.path, [
        '--root',
        options.stateRoot,
        '--log',
        files.log,
        ...(runtime.name === 'crun' ? ['--cgroup-manager=disabled'] : []),
        'run',
        '--bundle',
        bundle,
        '--pid-file',
        files.pid,
        options.id,
      ]),
      env: RUNTIME_ENVIRONMENT,
      stdio: stdio.fds,
    });
  } finally {
    stdio.started();
  }
  options.onStarted?.(child.pid);
  const kill = (): void => killStep(child.pid, files.pid);
  signal.addEventListener('abort', kill, { once: true });
  let code: number | undefined;
  try {
    code = await exitCode(child);
    if (code === undefined) await endStep(files.pid, stdio.ended);
    else await stdio.ended;
  } finally {
    signal.removeEventListener('abort', kill);
  }
  // Cancelled in this very moment, or by what we did.
  if (isAborted(signal)) throw cancelled();
  if (code === undefined) {
    throw new BuildError({ code: 'host', message: `${runtime.name} was killed from outside while a step ran` });
  }
  if (code !== 0) {
    const log = readLog(files.log);
    if (log !== undefined) throw startError(log, options);
  }
  return { exitCode: code, signal: DEADLY.find((name) => constants.signals[name] === code - 128) };
}

/** The same process leaves the guard and becomes the runtime. */
function outOfGuard(
  wayOut: string | undefined,
  path: string,
  args: readonly string[],
): Pick<SpawnSpec, 'path' | 'args'> {
  if (wayOut === undefined) return { path, args };
  return { path: '/bin/sh', args: ['-c', 'echo 0 > "$0" && exec "$@"', wayOut, path, ...args] };
}

/** A call, as the answer changes while we wait. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function cancelled(): BuildError {
  return new BuildError({ code: 'cancelled', message: 'the step was cancelled' });
}

interface Stdio {
  readonly fds: SpawnSpec['stdio'];
  /** To be called once the runtime has its copies of the descriptors. */
  started(): void;
  readonly ended: Promise<unknown>;
}

function inheritedOutput(fds: readonly [number, number, number]): Stdio {
  return { fds, started: () => undefined, ended: Promise.resolve() };
}

function streamedOutput({ onOutput }: StepOutput): Stdio {
  const out = makePipe();
  const err = makePipe();
  const ended = Promise.all([pump(out.read, (data) => onOutput(1, data)), pump(err.read, (data) => onOutput(2, data))]);
  return {
    fds: [null, out.write, err.write],
    started() {
      closeSync(out.write);
      closeSync(err.write);
    },
    ended,
  };
}

/** Reads a pipe to its end; what `deliver` returns holds up the reading, and so the step. */
function pump(fd: number, deliver: (data: Buffer) => Promise<void> | undefined): Promise<void> {
  const socket = new Socket({ fd, readable: true, writable: false });
  return new Promise((resolve) => {
    socket.on('data', (data) => {
      const full = deliver(data);
      if (full === undefined) return;
      socket.pause();
      void full.then(() => socket.resume());
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve());
  });
}

/** Runtimes that are running; any other child of ours is an orphan. */
const runtimes = new Set<number>();

/** Undefined when a signal ended it. */
async function exitCode({ pid, exited }: SpawnedProcess): Promise<number | undefined> {
  runtimes.add(pid);
  const { code } = await exited;
  runtimes.delete(pid);
  return code;
}

/**
 * SIGKILL for the container's first process: the kernel ends its namespace with it, and the runtime sees it end. Before
 * its pid is known, the runtime and all that it has started so far.
 */
function killStep(runtime: number, pidFile: string): void {
  const pid = readPid(pidFile);
  if (pid !== undefined) {
    killQuietly(pid);
    return;
  }
  for (const one of [runtime, ...childrenOf(runtime)].reverse()) killQuietly(one);
}

/** Milliseconds between two looks for what a killed runtime has left. */
const ORPHAN_PAUSE = 5;

/** The runtime was killed: what it ran would go on, and hold the output open. */
async function endStep(pidFile: string, outputEnded: Promise<unknown>): Promise<void> {
  const pid = readPid(pidFile);
  if (pid !== undefined) killQuietly(pid);
  let open = true;
  void outputEnded.then(() => (open = false));
  do {
    endOrphans(runtimes);
    await sleep(ORPHAN_PAUSE);
  } while (open);
  endOrphans(runtimes);
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** What the runtime said went wrong; its warnings aside. */
function readLog(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  rmSync(path, { force: true });
  const errors = text.split('\n').flatMap((line) => {
    if (line === '' || /level=(warning|info|debug)|is deprecated/.test(line)) return [];
    const [, quoted] = /^time="[^"]*" level=\w+ msg=(".*")$/.exec(line) ?? [];
    return [quoted === undefined ? line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z:\s*/, '') : unquote(quoted)];
  });
  return errors.length === 0 ? undefined : errors.join('; ');
}

/** runc's log quotes as Go does, which is JSON but for rare escapes. */
function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

const NOT_FOUND =
  /executable file .*not found|exec: "[^"]*": stat .*no such file|open executable: (No such file|Not a directory)/i;
const NOT_EXECUTABLE = /open executable: |exec: "[^"]*": (permission denied|is a directory)/i;

/** What the runtime's own message means for the user. */
function startError(log: string, { runtime, bundle }: Pick<RunOptions, 'runtime' | 'bundle'>): BuildError {
  const rootfs = `${bundle}/rootfs`;
  const text = log.replaceAll(rootfs, '');
  const message = `the program cannot be started: ${text}`;
  if (NOT_FOUND.test(text)) {
    return new BuildError({
      code: 'run-failed',
      message,
      hint: 'the image of this stage has no such program; a scratch image has not even a shell',
      exitCode: 127,
    });
  }
  if (NOT_EXECUTABLE.test(text)) {
    return new BuildError({ code: 'run-failed', message, hint: 'check its mode (chmod +x)', exitCode: 126 });
  }
  // A mount point below a file, a link that leads nowhere: the root is not what the mounts need.
  if (log.includes(rootfs))
    return new BuildError({ code: 'run-failed', message: `the step cannot be set up: ${text}` });
  return new BuildError({ code: 'host', message: `${runtime.name} could not start the step: ${text}` });
}
