import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { BuildError, type BuildEventSink, type Executor } from '../contracts/index.ts';
import { parseDockerfile, type Dockerfile } from '../dockerfile/index.ts';
import { createExecutor } from '../executor/index.ts';
import { dockerfileToLlb, type FrontendOptions, type FrontendResult, type NamedContext } from '../frontend/index.ts';
import { createRegistry, parseMirrors, type Registry } from '../registry/index.ts';
import { createSources, type Pins, type Sources } from '../source/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { createWorker } from '../worker/index.ts';
import { classifyContexts, contextDirectory, isRemoteContext, type ContextDirectory } from './contexts.ts';
import { dockerfileFromBytes, readDockerfile, readIgnoreFile, type DockerfileText } from './dockerfile-input.ts';
import { frozenPins } from './lock-file.ts';
import type { BuildOptions } from './options.ts';
import { hostPlatform, parsePlatform } from './platform.ts';
import { parseSecrets, parseSsh } from './secrets.ts';
import { step } from './steps.ts';
import { bytesOf, readStdin } from './stdin.ts';

/** What was read before the graph is made. */
export interface Inputs {
  readonly dockerfile: DockerfileText;
  readonly context: NamedContext;
  readonly contexts: Readonly<Record<string, NamedContext>>;
}

/** The rooms of one build, open. */
export interface Session {
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
  readonly platform: ReturnType<typeof hostPlatform>;
  readonly store: Store;
  readonly registry: Registry;
  readonly executor: Executor;
  readonly sources: Sources;
  readonly worker: ReturnType<typeof createWorker>;
  /** Reads and parses the Dockerfile and what stands beside it. */
  read(): Promise<{ readonly inputs: Inputs; readonly dockerfile: Dockerfile }>;
  /** Turns it into a graph; asks registries about base images. */
  convert(read: Awaited<ReturnType<Session['read']>>): Promise<FrontendResult>;
}

/**
 * Opens the rooms that a build needs, does `work` in them, and closes them whatever happens. Everything that can be wrong
 * with the words is said before anything is opened.
 */
export async function withSession<T>(
  options: BuildOptions,
  work: (session: Session) => Promise<T>,
  how: { readonly listsContent: boolean; readonly pins?: Pins | undefined } = { listsContent: true },
): Promise<T> {
  const events: BuildEventSink = options.onEvent ?? (() => undefined);
  const env = options.env ?? process.env;
  const signal = options.signal ?? new AbortController().signal;
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  const secrets = parseSecrets(options.secrets ?? [], env, cwdOf(options));
  const ssh = parseSsh(options.ssh ?? [], env);
  const mirrors = parseMirrors([...(options.mirrors ?? []), env['SLIPWAY_MIRRORS'] ?? ''].join(';'));

  const store = await openStore({ root: options.root ?? env['SLIPWAY_ROOT'] });
  const registry = createRegistry({ mirrors, env, signal });
  const executor = createExecutor({ root: store.root });
  const directories = new Map<string, ContextDirectory>();
  const sources = createSources({
    store,
    registry,
    contexts: directories,
    pull: options.pull,
    pins: how.pins ?? (options.frozen === true ? await frozenPins(options) : undefined),
    events,
    signal,
    env,
  });
  const worker = createWorker({
    store,
    sources,
    executor,
    buildId: randomUUID(),
    secrets,
    ssh,
    shmSize: options.shmSize,
    listsContent: how.listsContent,
  });
  try {
    return await work({
      events,
      signal,
      platform,
      store,
      registry,
      executor,
      sources,
      worker,
      async read() {
        const inputs = await readInputs(options, { store, sources, directories, events });
        const { text, filename } = inputs.dockerfile;
        return { inputs, dockerfile: parseDockerfile(text, { filename }) };
      },
      convert: async ({ inputs, dockerfile }) =>
        await dockerfileToLlb(dockerfile, frontendOptions(options, inputs, platform), sources),
    });
  } finally {
    await executor.close();
    await sources.close();
    await registry.close();
    store.close();
  }
}

export function cwdOf(options: BuildOptions): string {
  return options.cwd ?? process.cwd();
}

interface InputRooms {
  readonly store: Store;
  readonly sources: Sources;
  /** Filled with the contexts, by local source name; `sources` reads it. */
  readonly directories: Map<string, ContextDirectory>;
  readonly events: BuildEventSink;
}

async function readInputs(options: BuildOptions, { store, sources, directories, events }: InputRooms): Promise<Inputs> {
  const cwd = cwdOf(options);
  const stdin = options.stdin ?? process.stdin;
  if (isRemoteContext(options.context)) {
    throw new BuildError({
      code: 'unsupported',
      message: `the context ${options.context} is remote`,
      hint: 'clone or download it first, then give the directory',
    });
  }
  if (options.dockerfile === '-' && options.context === '-') {
    throw new BuildError({
      code: 'usage',
      message: 'the Dockerfile and the context cannot both come from standard input',
    });
  }
  const named = await classifyContexts(options.buildContexts ?? {}, cwd);
  for (const [name, directory] of named.directories) directories.set(name, directory);

  const piped = options.context === '-' ? await readStdin(stdin, sources) : undefined;
  // A Dockerfile on standard input comes without files: its context is an empty directory.
  const contextDir =
    piped?.kind === 'dockerfile'
      ? await emptyDirectory(store)
      : contextDirectory(piped?.directory ?? resolve(cwd, options.context), 'the context');
  const name =
    options.dockerfile === undefined || options.dockerfile === '-' ? 'Dockerfile' : basename(options.dockerfile);
  const dockerfile = await step(events, `[internal] load build definition from ${name}`, async () => {
    if (piped?.kind === 'dockerfile') return dockerfileFromBytes(piped.data);
    if (options.dockerfile === '-') return dockerfileFromBytes(await bytesOf(stdin));
    return await readDockerfile(contextDir, options.dockerfile, piped === undefined ? cwd : contextDir);
  });
  const ignore = await step(
    events,
    '[internal] load .dockerignore',
    async () => await readIgnoreFile(contextDir, dockerfile.path),
  );
  directories.set('context', { directory: contextDir, ignore });
  const context: NamedContext = {
    kind: 'local',
    sourceName: 'context',
    excludes: ignore?.lines.map((line) => line.pattern) ?? [],
  };
  return { dockerfile, context, contexts: named.contexts };
}

async function emptyDirectory(store: Store): Promise<string> {
  const directory = store.tempPath('context');
  await mkdir(directory);
  return directory;
}

function frontendOptions(
  options: BuildOptions,
  inputs: Inputs,
  platform: ReturnType<typeof hostPlatform>,
): FrontendOptions {
  return {
    target: options.target,
    buildArgs: options.buildArgs ?? {},
    labels: options.labels ?? {},
    targetPlatform: platform,
    buildPlatform: hostPlatform(),
    contexts: inputs.contexts,
    context: inputs.context,
    network: options.network ?? 'sandbox',
    noCache: options.noCache ?? false,
    extraHosts: options.extraHosts ?? [],
    shmSize: options.shmSize,
    ulimits: options.ulimits ?? [],
    pull: options.pull ?? false,
  };
}
