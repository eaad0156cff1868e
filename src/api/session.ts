import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { BuildError, type BuildEventSink, type Executor } from '../contracts/index.ts';
import { parseDockerfile, type Dockerfile } from '../dockerfile/index.ts';
import { createExecutor } from '../executor/index.ts';
import { dockerfileToLlb, mainContext, type FrontendResult } from '../frontend/index.ts';
import { definition, type Platform } from '../llb/index.ts';
import { redactError, redactSecrets } from '../progress/index.ts';
import { createRegistry, offlineRegistry, parseMirrors, type Registry } from '../registry/index.ts';
import { createEngine } from '../solver/index.ts';
import { createSources, type Pins, type Sources } from '../source/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { createWorker } from '../worker/index.ts';
import { openMounts, type MountWords, type TravellingMounts } from './cache/cache-mounts.ts';
import type { ContextDirectory } from './inputs/contexts.ts';
import { allowedEntitlements, checkEntitlements } from './inputs/entitlements.ts';
import { cwdOf, frontendOptions, readInputs, type Inputs } from './inputs/inputs.ts';
import { frozenPins } from './lock/lock-file.ts';
import type { BuildOptions } from './options.ts';
import { hostPlatform, parsePlatforms } from './inputs/platform.ts';
import { beginStep } from './records/steps.ts';
import { waitingFor } from './with-store.ts';
import { parseSecrets, parseSsh, servedSecrets } from './inputs/secrets.ts';
import { keepStorage, projectDirectory } from './storage/usage-words.ts';

export { cwdOf } from './inputs/inputs.ts';

/** The rooms of one build, open. */
export interface Session {
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
  /** What is built, at least one. */
  readonly platforms: readonly Platform[];
  readonly store: Store;
  readonly registry: Registry;
  readonly executor: Executor;
  readonly sources: Sources;
  readonly worker: ReturnType<typeof createWorker>;
  readonly mounts: TravellingMounts;
  /** Reads and parses the Dockerfile and what stands beside it. */
  read(): Promise<{ readonly inputs: Inputs; readonly dockerfile: Dockerfile }>;
  /** Turns it into a graph for each platform; asks registries about base images. */
  convert(read: Awaited<ReturnType<Session['read']>>): Promise<readonly [FrontendResult, ...FrontendResult[]]>;
}

/**
 * Opens the rooms that a build needs, does `work` in them, and closes them whatever happens. Everything that can be wrong
 * with the words is said before anything is opened.
 */
export async function withSession<T>(
  options: BuildOptions,
  work: (session: Session) => Promise<T>,
  how: {
    readonly listsContent: boolean;
    readonly pins?: Pins | undefined;
    /** Registries that may be spoken to in plain http. */
    readonly insecure?: readonly string[] | undefined;
    readonly mounts?: MountWords | undefined;
    /** What other builds call this one. */
    readonly id?: string | undefined;
  } = { listsContent: true },
): Promise<T> {
  const env = options.env ?? process.env;
  const signal = options.signal ?? new AbortController().signal;
  const platforms = parsePlatforms(options.platform);
  const allowed = allowedEntitlements(options);
  if (options.offline === true && options.pull === true) {
    throw new BuildError({
      code: 'usage',
      message: '--pull asks registries, --offline asks nobody',
      hint: 'leave one of them out',
    });
  }
  const served = servedSecrets(parseSecrets(options.secrets ?? [], env, cwdOf(options)));
  const secrets = served.provide;
  const events: BuildEventSink = redactSecrets(options.onEvent ?? (() => undefined), () => served.values());
  if (options.cgroupParent !== undefined) {
    const hint = 'to bound them, start slipway itself in that cgroup';
    events({ type: 'warning', message: '--cgroup-parent has no effect: steps stay in the cgroup of slipway', hint });
  }
  const pins = how.pins ?? (options.frozen === true ? await frozenPins(options) : undefined);
  const ssh = parseSsh(options.ssh ?? [], env);
  const mirrors = parseMirrors([...(options.mirrors ?? []), env['SLIPWAY_MIRRORS'] ?? ''].join(';'));

  const bound = keepStorage(options.keepStorage, env);

  const store = await openStore({
    root: options.root ?? env['SLIPWAY_ROOT'],
    project: projectDirectory(options.context, cwdOf(options)),
    holder: how.id === undefined ? undefined : `build ${how.id}`,
    onWait(holder) {
      const wait = beginStep(events, waitingFor(holder));
      return () => wait.end();
    },
  });
  const registry =
    options.offline === true ? offlineRegistry() : createRegistry({ mirrors, env, signal, insecure: how.insecure });
  const executor = createExecutor({ root: store.root });
  const directories = new Map<string, ContextDirectory>();
  const sources = createSources({
    store,
    registry,
    contexts: directories,
    pull: options.pull,
    offline: options.offline,
    pins,
    events,
    signal,
    env,
    secret: async (id) => await Promise.resolve(secrets(id)),
    ssh,
  });
  const mounts = openMounts(how.mounts ?? { from: [], to: [] }, { store, registry, events, signal });
  const worker = createWorker({
    store,
    sources,
    executor,
    buildId: randomUUID(),
    secrets,
    ssh,
    shmSize: options.shmSize,
    listsContent: how.listsContent,
    beforeCacheMount: mounts.before,
    allowsInsecure: allowed.has('security.insecure'),
  });
  let isDone = false;
  try {
    const result = await work({
      events,
      signal,
      platforms,
      store,
      registry,
      executor,
      sources,
      worker,
      mounts,
      async read() {
        const inputs = await readInputs(options, {
          directories,
          events,
          emptyDirectory: async () => await emptyDirectory(store),
          takeTar: async (stream) => await sources.takeUpload(stream),
          async solveContext(context) {
            const result = mainContext({ context, buildArgs: options.buildArgs ?? {} });
            const solveOptions = { signal, events, noCache: new Set<never>() };
            return (await createEngine({ store, worker }).solve(definition(result), solveOptions)).snapshot;
          },
        });
        const { text, filename } = inputs.dockerfile;
        return { inputs, dockerfile: parseDockerfile(text, { filename }) };
      },
      async convert({ inputs, dockerfile }) {
        const convertFor = async (platform: Platform) => {
          const multiPlatform = platforms.length > 1;
          const given = { ...frontendOptions(options, inputs, platform), multiPlatform };
          const result = await dockerfileToLlb(dockerfile, given, sources);
          checkEntitlements(result.definition, allowed);
          return result;
        };
        const [first = hostPlatform(), ...rest] = platforms;
        return await Promise.all([convertFor(first), ...rest.map(convertFor)]);
      },
    });
    isDone = true;
    return result;
  } catch (error) {
    throw error instanceof BuildError ? redactError(error, served.values()) : error;
  } finally {
    // The child takes its namespaces with it; meanwhile there is enough to do here.
    const executorClosed = executor.close();
    await sources.close();
    await registry.close();
    if (!signal.aborted) await store.keepWithin(bound);
    closeStore(store, isDone ? events : undefined);
    await executorClosed;
  }
}

async function emptyDirectory(store: Store): Promise<string> {
  const directory = store.tempPath('context');
  await mkdir(directory);
  return directory;
}

/**
 * What was made has gone to its destinations by now: that there is no room left to note what a later build could use is no
 * reason to fail.
 *
 * @param events Undefined for a build that failed: its own error counts.
 */
function closeStore(store: Store, events: BuildEventSink | undefined): void {
  try {
    store.close();
  } catch (error) {
    if (!(error instanceof BuildError) || error.code !== 'disk-full') throw error;
    const message = `later builds will not find what this one made: ${error.message}`;
    events?.({ type: 'warning', message, hint: error.hint });
  }
}
