import { basename, resolve } from 'node:path';
import { BuildError, type BuildEventSink } from '../contracts/index.ts';
import type { FrontendOptions, NamedContext } from '../frontend/index.ts';
import { classifyContexts, contextDirectory, isRemoteContext, type ContextDirectory } from './contexts.ts';
import { dockerfileFromBytes, readDockerfile, readIgnoreFile, type DockerfileText } from './dockerfile-input.ts';
import type { BuildOptions } from './options.ts';
import { hostPlatform } from './platform.ts';
import { step } from './steps.ts';
import { bytesOf, readStdin } from './stdin.ts';

/** What was read before the graph is made. */
export interface Inputs {
  readonly dockerfile: DockerfileText;
  readonly context: NamedContext;
  readonly contexts: Readonly<Record<string, NamedContext>>;
}

export function cwdOf(options: BuildOptions): string {
  return options.cwd ?? process.cwd();
}

export interface InputRooms {
  /** Filled with the contexts, by local source name. */
  readonly directories: Map<string, ContextDirectory>;
  readonly events: BuildEventSink;
  /** Unpacks a tar into a directory that goes with the build. */
  contextFromTar(stream: AsyncIterable<Uint8Array>): Promise<string>;
  emptyDirectory(): Promise<string>;
}

/** Reads the Dockerfile and the ignore file, and finds out what each context is. */
export async function readInputs(options: BuildOptions, rooms: InputRooms): Promise<Inputs> {
  const { directories, events } = rooms;
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

  const piped = options.context === '-' ? await readStdin(stdin, rooms) : undefined;
  // A Dockerfile on standard input comes without files: its context is an empty directory.
  const contextDir =
    piped?.kind === 'dockerfile'
      ? await rooms.emptyDirectory()
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

/** @param buildPlatform What the machine that solves runs natively. */
export function frontendOptions(
  options: BuildOptions,
  inputs: Inputs,
  platform: ReturnType<typeof hostPlatform>,
  buildPlatform = hostPlatform(),
): FrontendOptions {
  return {
    target: options.target,
    buildArgs: options.buildArgs ?? {},
    labels: options.labels ?? {},
    targetPlatform: platform,
    buildPlatform,
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
