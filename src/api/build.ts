import { mkdir, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { BuildError, type BuildEventSink, type ExportResult, type SolveResult } from '../contracts/index.ts';
import { parseDockerfile } from '../dockerfile/index.ts';
import { createExecutor } from '../executor/index.ts';
import { createExporter, parseOutput, type OutputSpec } from '../export/index.ts';
import { dockerfileToLlb, type FrontendOptions, type FrontendResult, type NamedContext } from '../frontend/index.ts';
import { marshal, printJson } from '../llb/index.ts';
import { createRegistry, parseMirrors } from '../registry/index.ts';
import { createEngine } from '../solver/index.ts';
import { createSources, type Sources } from '../source/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { createWorker } from '../worker/index.ts';
import { classifyContexts, contextDirectory, isRemoteContext, type ContextDirectory } from './contexts.ts';
import { dockerfileFromBytes, readDockerfile, readIgnoreFile, type DockerfileText } from './dockerfile-input.ts';
import type { BuildOptions, BuildResult } from './options.ts';
import { hostPlatform, parsePlatform } from './platform.ts';
import { parseSecrets, parseSsh } from './secrets.ts';
import { step } from './steps.ts';
import { bytesOf, readStdin } from './stdin.ts';
import { stageWeights } from './weights.ts';

/** What was read before the graph is made. */
interface Inputs {
  readonly dockerfile: DockerfileText;
  readonly context: NamedContext;
  readonly contexts: Readonly<Record<string, NamedContext>>;
}

/**
 * Builds a Dockerfile on this machine and sends the result to its destinations.
 *
 * @throws BuildError with every code of contracts/error.ts; nothing is left behind then but what the cache may keep.
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const events: BuildEventSink = options.onEvent ?? (() => undefined);
  const env = options.env ?? process.env;
  const signal = options.signal ?? new AbortController().signal;
  // Everything that can be wrong with the words is said before anything is done.
  const outputs = (options.outputs ?? []).map(parseOutput);
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  const secrets = parseSecrets(options.secrets ?? [], env, cwdOf(options));
  const ssh = parseSsh(options.ssh ?? [], env);
  const mirrors = parseMirrors([...(options.mirrors ?? []), env['SLIPWAY_MIRRORS'] ?? ''].join(';'));

  const store = await openStore({ root: options.root ?? env['SLIPWAY_ROOT'] });
  const registry = createRegistry({ mirrors, env, signal });
  const executor = createExecutor({ root: store.root });
  const directories = new Map<string, ContextDirectory>();
  const sources = createSources({ store, registry, contexts: directories, pull: options.pull, events, signal, env });
  try {
    const inputs = await readInputs(options, { store, sources, directories, events });
    const dockerfile = parseDockerfile(inputs.dockerfile.text, { filename: inputs.dockerfile.filename });
    const frontend = await dockerfileToLlb(dockerfile, frontendOptions(options, inputs, platform), sources);
    for (const warning of frontend.warnings) events({ type: 'warning', ...warning });
    if (options.print !== undefined) {
      return {
        stages: [],
        printed: options.print === 'llb' ? marshal(frontend.definition) : printJson(frontend.definition),
      };
    }
    events({ type: 'engine', engine: 'embedded', detail: store.root });
    const worker = createWorker({ store, sources, executor, secrets, ssh, shmSize: options.shmSize });
    const engine = createEngine({ store, worker });
    const noCache = options.noCache === true ? 'all' : new Set<never>();
    const solved = await engine.solve(frontend.definition, {
      signal,
      events,
      noCache,
      maxParallelRuns: options.maxParallelRuns,
    });
    return await finish(options, { outputs, frontend, solved, store, registry, events, signal, platform });
  } finally {
    await executor.close();
    await sources.close();
    await registry.close();
    store.close();
  }
}

function cwdOf(options: BuildOptions): string {
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

interface Finished {
  readonly outputs: readonly OutputSpec[];
  readonly frontend: FrontendResult;
  readonly solved: SolveResult;
  readonly store: Store;
  readonly registry: ReturnType<typeof createRegistry>;
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
  readonly platform: ReturnType<typeof hostPlatform>;
}

/** Exports, then says what it all weighed. */
async function finish(options: BuildOptions, done: Finished): Promise<BuildResult> {
  const { frontend, solved, store, registry, events, signal, platform } = done;
  const names = options.tags ?? [];
  // -t alone means the local store; with another destination the names go into both.
  const destinations: readonly OutputSpec[] =
    names.length > 0 && !done.outputs.some((spec) => spec.type === 'image')
      ? [parseOutput('type=image'), ...done.outputs]
      : done.outputs;
  const input = {
    snapshot: solved.snapshot,
    config: { ...frontend.config },
    platform,
    sourceDateEpoch: frontend.sourceDateEpoch,
  };
  let image: ExportResult['image'];
  for (const spec of destinations) {
    const exporter = await createExporter(spec, {
      store,
      registry,
      stdout: options.stdout ?? process.stdout,
      names,
      cwd: cwdOf(options),
    });
    const result = await step(
      events,
      exporter.name,
      async (bound) => await exporter.export(input, { signal, events: bound }),
    );
    image ??= result.image;
  }
  const stages = await stageWeights(frontend.stages, frontend.target, solved, store);
  for (const stage of stages) events({ type: 'stage', ...stage });
  if (image !== undefined) {
    events({ type: 'image', digest: image.digest, names: image.names, size: image.layersSize, layers: image.layers });
    if (options.iidFile !== undefined) await writeFile(resolve(cwdOf(options), options.iidFile), image.configDigest);
  }
  if (options.metadataFile !== undefined) {
    await writeFile(
      resolve(cwdOf(options), options.metadataFile),
      `${JSON.stringify(metadata(image), undefined, 2)}\n`,
    );
  }
  return { image, stages };
}

/** As buildx writes it (dockerfile-features: metadata-file keys). */
function metadata(image: ExportResult['image']): Readonly<Record<string, unknown>> {
  if (image === undefined) return {};
  return {
    'containerimage.config.digest': image.configDigest,
    'containerimage.descriptor': { mediaType: image.mediaType, digest: image.digest, size: image.manifestSize },
    'containerimage.digest': image.digest,
    ...(image.names.length > 0 && { 'image.name': image.names.join(',') }),
  };
}
