import { basename, isAbsolute, resolve } from 'node:path';
import { BuildError, type BuildEventSink } from '../../contracts/index.ts';
import type { FrontendOptions, NamedContext } from '../../frontend/index.ts';
import { classifyContexts, contextDirectory, isRemoteContext, type ContextDirectory } from './contexts.ts';
import { dockerfileFromBytes, readDockerfile, readIgnoreFile, type DockerfileText } from './dockerfile-input.ts';
import type { BuildOptions } from '../options.ts';
import { hostPlatform } from './platform.ts';
import { readUrl, remoteContext, remoteDockerfile, type SolveContext } from '../remote/context.ts';
import { step } from '../records/steps.ts';
import { bytesOf, sniffStdin } from './stdin.ts';

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
  emptyDirectory(): Promise<string>;
  /** Takes in a tar; the URL under which it is an http source. */
  takeTar(stream: AsyncIterable<Uint8Array>): Promise<string>;
  readonly solveContext: SolveContext;
}

/** Reads the Dockerfile and the ignore file, and finds out what each context is. */
export async function readInputs(options: BuildOptions, rooms: InputRooms): Promise<Inputs> {
  const { contexts, directories } = await classifyContexts(options.buildContexts ?? {}, cwdOf(options));
  for (const [name, directory] of directories) rooms.directories.set(name, directory);
  return { ...(await readMain(options, rooms)), contexts };
}

type MainInputs = Pick<Inputs, 'dockerfile' | 'context'>;

async function readMain(options: BuildOptions, rooms: InputRooms): Promise<MainInputs> {
  if (options.context === '-') return await fromStdin(options, rooms);
  if (isRemoteContext(options.context, cwdOf(options))) return await fromRemote(options, options.context, rooms);
  const directory = contextDirectory(resolve(cwdOf(options), options.context), 'the context');
  return await fromDirectory(directory, async () => await dockerfileBeside(directory, options, rooms), options, rooms);
}

/** A tar or a Dockerfile, told apart by what it begins with. */
async function fromStdin(options: BuildOptions, rooms: InputRooms): Promise<MainInputs> {
  if (options.dockerfile === '-') {
    throw new BuildError({
      code: 'usage',
      message: 'the Dockerfile and the context cannot both come from standard input',
    });
  }
  const piped = await sniffStdin(options.stdin ?? process.stdin);
  if (piped.kind === 'tar') return await fromRemote(options, await rooms.takeTar(piped.stream), rooms);
  if (options.dockerfile !== undefined) {
    throw new BuildError({
      code: 'usage',
      message: `there are two Dockerfiles: ${options.dockerfile} and the one on standard input`,
      hint: 'to build a Dockerfile from standard input with files, give their directory: slipway build -f - DIRECTORY',
    });
  }
  // It comes without files: its context is an empty directory.
  const read = async () => await Promise.resolve(dockerfileFromBytes(piped.data));
  return await fromDirectory(await rooms.emptyDirectory(), read, options, rooms);
}

async function fromDirectory(
  directory: string,
  read: () => Promise<DockerfileText>,
  options: BuildOptions,
  { directories, events }: InputRooms,
): Promise<MainInputs> {
  const dockerfile = await step(events, loading(options), read);
  const ignore = await step(
    events,
    '[internal] load .dockerignore',
    async () => await readIgnoreFile(directory, dockerfile.path),
  );
  directories.set('context', { directory, ignore });
  const excludes = ignore?.lines.map((line) => line.pattern) ?? [];
  return { dockerfile, context: { kind: 'local', sourceName: 'context', excludes } };
}

async function dockerfileBeside(directory: string, options: BuildOptions, rooms: InputRooms): Promise<DockerfileText> {
  const { dockerfile: file, stdin = process.stdin } = options;
  if (file === '-') return dockerfileFromBytes(await bytesOf(stdin));
  if (file !== undefined && /^https?:\/\//.test(file)) return await readUrl(file, rooms.solveContext);
  return await readDockerfile(directory, file, cwdOf(options));
}

/** The Dockerfile is in the context, unless it comes from elsewhere. An ignore file in it means nothing, as in BuildKit. */
async function fromRemote(options: BuildOptions, url: string, rooms: InputRooms): Promise<MainInputs> {
  const { dockerfile: file } = options;
  const context = await remoteContext(url, rooms.solveContext);
  const isElsewhere = file !== undefined && (file === '-' || isAbsolute(file) || /^https?:\/\//.test(file));
  const shown = options.context === '-' ? 'the tar on standard input' : url;
  const dockerfile = await step(rooms.events, loading(options), async () =>
    isElsewhere && options.context !== '-'
      ? await dockerfileBeside('/', options, rooms)
      : await remoteDockerfile(context, shown, file, rooms.solveContext),
  );
  return { dockerfile, context };
}

function loading({ dockerfile }: BuildOptions): string {
  const name = dockerfile === undefined || dockerfile === '-' ? 'Dockerfile' : basename(dockerfile);
  return `[internal] load build definition from ${name}`;
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
    cgroupParent: options.cgroupParent,
    pull: options.pull ?? false,
    exactLayers: options.exactLayers ?? false,
  };
}
