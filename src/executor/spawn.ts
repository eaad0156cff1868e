import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Duplex, Readable } from 'node:stream';
import type { ExecOptions, ExecRequest, ExecResult, MaterializeRequest } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import { entryUrl } from '../sys/entry.ts';
import { storeLayout } from '../store/index.ts';
import { requireExecutorHost } from '../worker/host.ts';
import { createChannel, type Answer, type Command } from './channel.ts';
import { fromWireError } from './wire-error.ts';

interface ChildProcessOptions {
  readonly root: string;
  readonly runtime?: string | undefined;
  /** Hands our stdin, stdout and stderr to the child, for one interactive step. */
  readonly terminal: boolean;
}

/** One running child. */
export interface ExecutorChild {
  exec(request: ExecRequest, signal: AbortSignal, onOutput: ExecOptions['onOutput']): Promise<ExecResult>;
  materialize(request: MaterializeRequest, signal: AbortSignal): Promise<void>;
  onExit(listener: () => void): void;
  close(): Promise<void>;
}

/** How much of the child's own stderr is kept for the report of its death, bytes. */
const STDERR_KEPT = 4096;
/** After the channel has closed, the child ends by itself; past this it is killed. Milliseconds. */
const CLOSE_GRACE = 2000;
/** Descriptors in the child: the channel, then, with a terminal, our own three. */
const CHANNEL_FD = 3;

/** What can keep the event loop alive; sockets say so at run time only. */
interface Holdable {
  ref?(): void;
  unref?(): void;
}

interface Pending {
  readonly resolve: (result: ExecResult | null) => void;
  readonly reject: (error: unknown) => void;
  readonly onOutput: ExecOptions['onOutput'] | undefined;
}

/** Errors: `host` before anything is started, where this machine or user cannot have an executor. */
export function spawnChild(options: ChildProcessOptions): ExecutorChild {
  const { unshare } = requireExecutorHost(process.env);
  const entry = fileURLToPath(entryUrl(import.meta.url, './child.ts'));
  const child = spawn(
    unshare,
    [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--propagation',
      'private',
      process.execPath,
      entry,
      options.root,
      options.runtime ?? '',
      options.terminal ? 'terminal' : '',
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...(options.terminal ? [0, 1, 2] : [])],
      // A session of its own: Ctrl-C reaches us, and we decide. With a terminal it must stay in ours to read from it.
      detached: !options.terminal,
      env: childEnvironment(process.env, options.root),
      cwd: '/',
    },
  );
  return superviseChild(child);
}

/** Only what the child needs: a NODE_OPTIONS or a proxy of the user's is none of its business. */
function childEnvironment({ PATH, TERM }: NodeJS.ProcessEnv, root: string): NodeJS.ProcessEnv {
  return {
    PATH: PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    ...(TERM !== undefined && { TERM }),
    ...compileCache(storeLayout(root).codePath('child')),
  };
}

/** Where Node keeps what V8 makes of the child's code. It makes directories as the umask has it: this one is ours alone. */
function compileCache(directory: string): NodeJS.ProcessEnv {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return { NODE_COMPILE_CACHE: directory };
  } catch {
    return {};
  }
}

function superviseChild(child: ChildProcess): ExecutorChild {
  const pending = new Map<number, Pending>();
  const exitListeners: (() => void)[] = [];
  const stderr = lastBytes(child.stderr, STDERR_KEPT);
  let nextId = 1;
  let dead: BuildError | undefined;

  const socket = child.stdio[CHANNEL_FD] as Duplex & Holdable;
  const channel = createChannel<Command, Answer>(socket, {
    onMessage(answer) {
      if (answer.kind === 'ready') return;
      const waiting = pending.get(answer.id);
      if (waiting === undefined) return;
      settle(answer.id);
      if (answer.kind === 'done') waiting.resolve(answer.result);
      else waiting.reject(fromWireError(answer.error));
    },
    onOutput(id, stream, data) {
      pending.get(id)?.onOutput?.(stream, data);
    },
    // What is known of a death comes with 'exit'; a channel that closes first means that it is about to come.
    onClose() {
      child.ref();
    },
  });

  const exited = new Promise<void>((resolve) => {
    const die = (error: BuildError): void => {
      if (dead !== undefined) return;
      dead = error;
      for (const [id, waiting] of [...pending]) {
        settle(id);
        waiting.reject(error);
      }
      for (const listener of exitListeners) listener();
      resolve();
    };
    child.once('error', (cause) => {
      die(new BuildError({ code: 'host', message: `the executor could not be started: ${cause.message}`, cause }));
    });
    // 'close' comes after stderr has been read to its end.
    child.once('close', (code, signal) => {
      die(deathOf(code, signal, stderr()));
    });
  });
  // An idle child keeps nobody alive.
  const hold = (held: boolean): void => {
    const act = held ? 'ref' : 'unref';
    for (const handle of [child, socket, child.stderr as Holdable | null]) handle?.[act]?.();
  };
  const settle = (id: number): void => {
    pending.delete(id);
    if (pending.size === 0) hold(false);
  };
  hold(false);

  const request = (
    command: (id: number) => Command,
    signal: AbortSignal,
    onOutput?: ExecOptions['onOutput'],
  ): Promise<ExecResult | null> => {
    if (dead !== undefined) return Promise.reject(dead);
    if (signal.aborted) return Promise.reject(cancelled(signal));
    return new Promise((resolve, reject) => {
      const id = nextId++;
      // The promise settles when the child has cleaned up, not before.
      const onAbort = (): void => {
        channel.send({ kind: 'cancel', id });
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const finish = (): void => signal.removeEventListener('abort', onAbort);
      if (pending.size === 0) hold(true);
      pending.set(id, {
        onOutput,
        resolve(result) {
          finish();
          resolve(result);
        },
        reject(error) {
          finish();
          const expected = error instanceof BuildError && error.code === 'cancelled';
          reject(expected && signal.aborted ? cancelled(signal) : (error as Error));
        },
      });
      channel.send(command(id));
    });
  };

  return {
    async exec(execRequest, signal, onOutput) {
      const result = await request((id) => ({ kind: 'exec', id, request: execRequest }), signal, onOutput);
      return result ?? { exitCode: 0 };
    },
    async materialize(materializeRequest, signal) {
      await request((id) => ({ kind: 'materialize', id, request: materializeRequest }), signal);
    },
    onExit(listener) {
      if (dead !== undefined) listener();
      else exitListeners.push(listener);
    },
    async close() {
      if (dead !== undefined) return;
      hold(true);
      channel.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_GRACE);
      await exited;
      clearTimeout(timer);
    },
  };
}

function cancelled(signal: AbortSignal): BuildError {
  return signal.reason instanceof BuildError
    ? signal.reason
    : new BuildError({ code: 'cancelled', message: 'the build was cancelled', cause: signal.reason });
}

function deathOf(code: number | null, signal: NodeJS.Signals | null, stderr: string): BuildError {
  const detail = stderr.split('\n').filter((line) => line !== '');
  if (/^unshare: /m.test(stderr)) {
    return new BuildError({
      code: 'host',
      message: 'this machine does not let us have namespaces of our own',
      hint: 'RUN needs root and the right to mount for now: run as root, in a container with --privileged',
      detail,
    });
  }
  // unshare reports the signal of its child as 128 + number.
  const killed = signal === 'SIGKILL' || code === 137;
  return new BuildError({
    code: killed ? 'host' : 'internal',
    message: killed
      ? 'the executor was killed from outside while it worked'
      : `the executor ended unexpectedly (${signal ?? `exit code ${code ?? '?'}`})`,
    hint: killed ? 'run the build again; see the kernel log for an out-of-memory kill' : undefined,
    detail,
  });
}

/** Reads a stream to its end and keeps what came last. */
function lastBytes(stream: Readable | null, limit: number): () => string {
  let kept = Buffer.alloc(0);
  stream?.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-limit);
  });
  return () => kept.toString('utf8');
}
