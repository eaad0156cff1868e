/** What a check reads: the Dockerfile, the ignore file, the names in the context. No store is opened, no network asked. */
import { readdir } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import type { FrontendOptions } from '../../frontend/index.ts';
import { parseIgnoreFile } from '../../pattern/index.ts';
import { classifyContexts, contextDirectory, isRemoteContext } from '../inputs/contexts.ts';
import { dockerfileFromBytes, readDockerfile, readIgnoreFile } from '../inputs/dockerfile-input.ts';
import type { HostOptions } from '../options.ts';
import { hostPlatform, parsePlatforms } from '../inputs/platform.ts';
import { bytesOf, sniffStdin } from '../inputs/stdin.ts';

/** What `check`, `outline` and `listTargets` look at. */
export interface DockerfileOptions extends HostOptions {
  /** A directory; `-` reads a tar or a Dockerfile from `stdin`. Nothing of it but names is read. */
  readonly context: string;
  /** Path of the Dockerfile, relative to `cwd`; `-` reads it from `stdin`. Default: `Dockerfile` in the context, then `dockerfile`. */
  readonly dockerfile?: string | undefined;
  /** Stage name or index. */
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  readonly buildContexts?: Readonly<Record<string, string>> | undefined;
  /** `os/arch[/variant]`; default: this machine's. */
  readonly platform?: string | readonly string[] | undefined;
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
  /** Base of relative paths; default: the process's. */
  readonly cwd?: string | undefined;
}

export interface DockerfileInput {
  readonly text: string;
  /** From `cwd`, where it is below it. */
  readonly filename: string;
  /** On disk; undefined when it came from standard input. */
  readonly path: string | undefined;
  readonly options: FrontendOptions;
  /** Names at the top of the context; undefined when there is none. */
  readonly contextNames: ReadonlySet<string> | undefined;
}

/** A Dockerfile with what stands beside it. */
type Found = Omit<DockerfileInput, 'options'> & { readonly excludes: readonly string[] };

/** @throws BuildError `usage`, `context`, `dockerfile`, `ignore-file`, `permission` */
export async function readDockerfileInput(options: DockerfileOptions): Promise<DockerfileInput> {
  const cwd = options.cwd ?? process.cwd();
  // A file is checked as what it is for the first of several.
  const [platform = hostPlatform()] = parsePlatforms(options.platform);
  const { contexts } = await classifyContexts(options.buildContexts ?? {}, cwd);
  const { excludes, ...found } = await find(options, cwd);
  return {
    ...found,
    options: {
      target: options.target,
      buildArgs: options.buildArgs ?? {},
      labels: {},
      targetPlatform: platform,
      buildPlatform: hostPlatform(),
      contexts,
      context: { kind: 'local', sourceName: 'context', excludes },
      network: 'sandbox',
      noCache: false,
      extraHosts: [],
      ulimits: [],
      pull: false,
    },
  };
}

async function find(
  { context, dockerfile: file, stdin = process.stdin }: DockerfileOptions,
  cwd: string,
): Promise<Found> {
  if (isRemoteContext(context, cwd)) {
    throw new BuildError({
      code: 'unsupported',
      message: `the context ${context} is remote, and checks never use the network`,
      hint: 'clone it first, then check the directory',
    });
  }
  if (context === '-') return await fromStdin(stdin, file, cwd);
  const directory = contextDirectory(resolve(cwd, context), 'the context');
  const read = file === '-' ? dockerfileFromBytes(await bytesOf(stdin)) : await readDockerfile(directory, file, cwd);
  const ignore = await readIgnoreFile(directory, read.path);
  return {
    text: read.text,
    filename: read.path === undefined ? read.filename : shownPath(read.path, cwd),
    path: read.path,
    excludes: ignore?.lines.map(({ pattern }) => pattern) ?? [],
    contextNames: new Set(await readdir(directory)),
  };
}

async function fromStdin(stdin: AsyncIterable<Uint8Array>, file: string | undefined, cwd: string): Promise<Found> {
  if (file === '-') {
    throw new BuildError({
      code: 'usage',
      message: 'the Dockerfile and the context cannot both come from standard input',
    });
  }
  const piped = await sniffStdin(stdin);
  if (piped.kind === 'dockerfile') {
    const { text, filename } = dockerfileFromBytes(piped.data);
    return { text, filename, path: undefined, excludes: [], contextNames: undefined };
  }
  return await fromTar(piped.stream, file, cwd);
}

/** Reads the two files out of a tar context, and the names at its top. */
async function fromTar(stream: AsyncIterable<Uint8Array>, file: string | undefined, cwd: string): Promise<Found> {
  const { decompress, readTar } = await import('../../image/index.ts');
  const name = 'the tar of the build context';
  const wanted = file === undefined ? ['Dockerfile', 'dockerfile'] : [file.replace(/^\.\//, '')];
  const ignores = [...wanted.map((path) => `${path}.dockerignore`), '.dockerignore'];
  const files = new Map<string, Uint8Array>();
  const contextNames = new Set<string>();
  for await (const { header, body } of readTar(decompress(stream, { name, code: 'context' }), {
    name,
    code: 'context',
  })) {
    const path = header.name.replace(/^\.\//, '').replace(/\/+$/, '');
    const [top = ''] = path.split('/');
    if (top !== '') contextNames.add(top);
    if (!wanted.includes(path) && !ignores.includes(path)) continue;
    const pieces: Uint8Array[] = [];
    // Pieces are valid until the next one is asked for.
    for await (const piece of body) pieces.push(Buffer.from(piece));
    files.set(path, Buffer.concat(pieces));
  }
  const path = wanted.find((candidate) => files.has(candidate));
  const data = path === undefined ? undefined : files.get(path);
  // A Dockerfile beside a tar is read as one beside a directory.
  if (data === undefined && file !== undefined) {
    const read = await readDockerfile(cwd, file, cwd);
    return { text: read.text, filename: file, path: read.path, excludes: [], contextNames };
  }
  if (data === undefined) {
    throw new BuildError({ code: 'dockerfile', message: `no Dockerfile: ${name} has none`, hint: 'name it with -f' });
  }
  const ignore = ignores.find((candidate) => files.has(candidate));
  const lines = parseIgnoreFile(Buffer.from(files.get(ignore ?? '') ?? []).toString('utf8'), ignore ?? '.dockerignore');
  const { text } = dockerfileFromBytes(data);
  return {
    text,
    filename: path ?? 'Dockerfile',
    path: undefined,
    excludes: lines.map(({ pattern }) => pattern),
    contextNames,
  };
}

function shownPath(path: string, cwd: string): string {
  const shown = relative(cwd, path);
  return shown === '' || shown.startsWith('..') || isAbsolute(shown) ? path : shown;
}
