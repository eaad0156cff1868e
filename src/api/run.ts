import { BuildError, type LayerId } from '../contracts/index.ts';
import { createExecutor } from '../executor/index.ts';
import { snapshotOf, type ContainerConfig } from '../image/index.ts';
import { createRegistry } from '../registry/index.ts';
import { createSources } from '../source/index.ts';
import { ensureDirectory, requireRunnable } from '../worker/index.ts';
import { openImage } from './open-image.ts';
import type { HostOptions } from './options.ts';
import { withStore } from './with-store.ts';

export interface RunOptions extends Omit<HostOptions, 'env'> {
  /** Replaces the image's CMD. */
  readonly command?: readonly string[] | undefined;
  /** Replaces the image's ENTRYPOINT; empty = none. Clears CMD, as docker does. */
  readonly entrypoint?: string | undefined;
  /** `NAME=value`, over the image's. */
  readonly env?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  /** Of an image of several. Default: this machine's. */
  readonly platform?: string | undefined;
  /** Hand this terminal to the container. */
  readonly tty?: boolean | undefined;
  readonly stdin?: NodeJS.ReadableStream | undefined;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** As `HostOptions.env`. */
  readonly hostEnv?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * Runs an image of the local store on the host's network and returns the exit code of its process (128 + n for signal n
 * as shells say). What it writes is thrown away.
 * Errors: `image-not-found`, `host`, `usage` when there is nothing to run.
 */
export async function runImage(name: string, options: RunOptions): Promise<number> {
  const env = options.hostEnv ?? process.env;
  const signal = options.signal ?? new AbortController().signal;
  return await withStore({ env, root: options.root }, async (store) => {
    const { config } = await openImage(store, name, options.platform);
    const container = config.config ?? {};
    const args = commandLine(container, options, name);
    const registry = createRegistry({ env, signal });
    const executor = createExecutor({ root: store.root });
    const sources = createSources({ store, registry, contexts: new Map(), events: () => undefined, signal, env });
    try {
      executor.prestart();
      const ids = (config.rootfs?.diff_ids ?? []).map((diffId): LayerId => {
        const id = store.findLayer({ diffId });
        if (id === undefined)
          throw new BuildError({
            code: 'store',
            message: `a layer of ${name} is gone: ${diffId}`,
            hint: 'build the image again',
          });
        return id;
      });
      await Promise.all(
        ids.map(async (id) => await ensureDirectory(sources.storeLayer(id), { store, sources, executor }, signal)),
      );
      const env = mergeEnv(container.Env ?? [], options.env ?? []);
      const cwd = options.workdir ?? (container.WorkingDir || '/');
      const root = snapshotOf(ids.map((id) => sources.storeLayer(id)));
      await requireRunnable({ args, env, cwd }, config, root);
      const result = await executor.exec(
        {
          layers: ids,
          upper: store.newLayer(),
          scan: false,
          args,
          env,
          cwd,
          user: options.user ?? container.User ?? '',
          network: 'host',
          security: 'sandbox',
          mounts: [],
          tty: options.tty === true,
        },
        { signal, onOutput: (stream, data) => (stream === 1 ? options.stdout : options.stderr).write(data) },
      );
      return result.exitCode;
    } finally {
      await executor.close();
      await sources.close();
      await registry.close();
    }
  });
}

function commandLine(config: ContainerConfig, options: RunOptions, name: string): readonly string[] {
  const given = options.command ?? [];
  const entrypoint =
    options.entrypoint === undefined
      ? (config.Entrypoint ?? [])
      : options.entrypoint === ''
        ? []
        : [options.entrypoint];
  const command = given.length > 0 ? given : options.entrypoint === undefined ? (config.Cmd ?? []) : [];
  const args = [...entrypoint, ...command];
  if (args.length === 0)
    throw new BuildError({
      code: 'usage',
      message: `${name} has neither CMD nor ENTRYPOINT`,
      hint: `say what to run: slipway run ${name} COMMAND`,
    });
  return args;
}

/** Later values of a name replace earlier ones, in place. */
function mergeEnv(image: readonly string[], given: readonly string[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const pair of [...image, ...given]) merged.set(pair.slice(0, pair.indexOf('=')), pair);
  return [...merged.values()];
}
