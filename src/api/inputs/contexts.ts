import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import { parseGitContext, type NamedContext } from '../../frontend/index.ts';
import { familiarString, parseReference } from '../../image/reference.ts';
import { readIgnoreFile, type IgnoreFile } from './dockerfile-input.ts';

/** A directory that a local source of the graph reads in place. */
export interface ContextDirectory {
  readonly directory: string;
  readonly ignore: IgnoreFile | undefined;
}

export interface NamedContexts {
  /** For the front end, keys lower-case. */
  readonly contexts: Readonly<Record<string, NamedContext>>;
  /** By local source name. */
  readonly directories: ReadonlyMap<string, ContextDirectory>;
}

/**
 * Says what each `--build-context name=value` is, as buildx does (build/opt.go): a scheme, a git or http URL, else a
 * directory. Errors: `usage`, `context` when the directory is not there.
 */
export async function classifyContexts(values: Readonly<Record<string, string>>, cwd: string): Promise<NamedContexts> {
  const contexts: Record<string, NamedContext> = {};
  const directories = new Map<string, ContextDirectory>();
  for (const [name, value] of Object.entries(values)) {
    const key = contextKey(name);
    const scheme = /^(docker-image|oci-layout|target|input):(\/\/)?/.exec(value);
    if (scheme?.[1] === 'docker-image') contexts[key] = { kind: 'docker-image', ref: value.slice(scheme[0].length) };
    else if (scheme?.[1] === 'oci-layout')
      contexts[key] = { kind: 'oci-layout', ref: ociLayoutRef(value.slice(scheme[0].length), cwd) };
    else if (scheme !== null)
      throw new BuildError({
        code: 'unsupported',
        message: `--build-context ${name}=${value}: ${scheme[1] ?? ''}: contexts belong to bake files`,
      });
    else if (isRemoteContext(value, cwd))
      contexts[key] = { kind: parseGitContext(value) === undefined ? 'http' : 'git', url: value };
    else {
      const directory = contextDirectory(resolve(cwd, value), `--build-context ${name}`);
      const ignore = await readIgnoreFile(directory, undefined);
      contexts[key] = { kind: 'local', sourceName: key, excludes: ignore?.lines.map((line) => line.pattern) ?? [] };
      directories.set(key, { directory, ignore });
    }
  }
  return { contexts, directories };
}

/** As buildx normalizes names (build/opt.go): `golang:latest` and `docker.io/library/golang` are `golang`. */
function contextKey(name: string): string {
  // `name::linux/arm64` is for one platform.
  const [image = '', platform] = name.split('::', 2);
  try {
    return (
      familiarString(parseReference(image)).replace(/:latest$/, '') + (platform === undefined ? '' : `::${platform}`)
    );
  } catch {
    throw new BuildError({
      code: 'usage',
      message: `--build-context ${name}: not a name of an image or stage`,
      hint: 'names are lower-case, as in app=./dir or golang:1.22=oci-layout://path',
    });
  }
}

/** Makes the path of `path[:tag][@digest]` absolute. */
function ociLayoutRef(ref: string, cwd: string): string {
  const path = /^(.*?)((?::[\w][\w.-]*)?(?:@sha256:[0-9a-f]{64})?)$/.exec(ref);
  return resolve(cwd, path?.[1] ?? ref) + (path?.[2] ?? '');
}

/** Errors: `context` when it is no directory that can be read. */
export function contextDirectory(directory: string, what: string): string {
  let stat;
  try {
    stat = statSync(directory);
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    throw new BuildError({
      code: denied ? 'permission' : 'context',
      message: `${what}: ${directory} ${denied ? 'cannot be read: permission denied' : 'does not exist'}`,
      hint: 'give the directory that holds the files to copy, as in: slipway build .',
      cause: error,
    });
  }
  if (!stat.isDirectory()) {
    throw new BuildError({
      code: 'context',
      message: `${what}: ${directory} is a file, not a directory`,
      hint: 'a Dockerfile elsewhere is named with -f: slipway build -f FILE DIRECTORY',
    });
  }
  return directory;
}

/** A git or http URL; a directory of that name goes first, as in buildx. */
export function isRemoteContext(value: string, cwd: string): boolean {
  if (statSync(resolve(cwd, value), { throwIfNoEntry: false })?.isDirectory() === true) return false;
  return /^https?:\/\//.test(value) || parseGitContext(value) !== undefined;
}
