/**
 * The kernel at arm's length: the main process never changes a namespace, mounts or runs a step. It starts one child in
 * its own mount and pid namespace (`child.ts`), of which that child is pid 1, and talks to it over one socket
 * (`channel.ts`). When the socket closes the child ends; when pid 1 ends, the kernel ends every step and drops every
 * mount, whoever was killed with whatever signal.
 *
 *     main process ──spawn──> unshare ──fork──> child (pid 1) ──spawn──> crun ──> step
 *          └──────────── socket: requests, answers, output ──┘
 *
 * Not here: what a step or a directory is (`worker/`). No bytes of layers cross the channel.
 */
import type { Executor } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import { spawnChild, type ExecutorChild } from './spawn.ts';

export interface ExecutorOptions {
  /** The store's root directory; absolute. */
  readonly root: string;
  /** `crun`, `runc`, or a path to one of them; absent = crun where there is one, else runc. */
  readonly runtime?: string | undefined;
}

/**
 * Nothing is started before the first request or `prestart`. Errors of a request: `host` when this machine cannot run
 * steps (not Linux, no privilege, no runtime), `cancelled`, `run-failed` for a step that could not be started,
 * `internal` when the child died.
 */
export function createExecutor(options: ExecutorOptions): Executor & {
  /** Starts the child ahead of the first request; its errors appear with that request. */
  prestart(): void;
} {
  let current: Promise<ExecutorChild> | undefined;
  const terminals = new Set<ExecutorChild>();
  let closed = false;

  /** In this very moment: what else a build does meanwhile need not be waited for. */
  const start = (terminal: boolean): Promise<ExecutorChild> =>
    new Promise((resolve) => resolve(spawnChild({ ...options, terminal })));
  const child = (): Promise<ExecutorChild> => {
    if (closed) return Promise.reject(new BuildError({ code: 'internal', message: 'the executor is closed' }));
    if (current === undefined) {
      const started = start(false);
      const forget = (): void => {
        if (current === started) current = undefined;
      };
      current = started;
      started.then((live) => live.onExit(forget), forget);
    }
    return current;
  };

  return {
    prestart() {
      child().catch(() => undefined);
    },
    async exec(request, { signal, onOutput }) {
      if (request.tty !== true) return (await child()).exec(request, signal, onOutput);
      // The terminal can only be handed over at start: a child of its own, in our session, with our descriptors.
      const own = await start(true);
      terminals.add(own);
      try {
        return await own.exec(request, signal, onOutput);
      } finally {
        terminals.delete(own);
        await own.close();
      }
    },
    async materialize(request, { signal }) {
      await (await child()).materialize(request, signal);
    },
    async close() {
      closed = true;
      const open = await current?.catch(() => undefined);
      await Promise.all([open?.close(), ...[...terminals].map((own) => own.close())]);
    },
  };
}
