/** Build contexts that are no directory of this machine: repositories, downloads, tars from standard input. */
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { BuildError, type Snapshot } from '../../contracts/index.ts';
import { parseGitContext, type NamedContext } from '../../frontend/index.ts';
import { resolvePath } from '../../worker/index.ts';
import { dockerfileFromBytes, type DockerfileText } from '../inputs/dockerfile-input.ts';
import { isArchive } from '../inputs/stdin.ts';

/** Brings a source of the graph into being, so that its files can be read. */
export type SolveContext = (context: NamedContext) => Promise<Snapshot>;

/**
 * What a URL means as the main context (BuildKit: dockerui/context.go): a repository, an archive, or else a Dockerfile,
 * which is then a context of one file called `context`.
 */
export async function remoteContext(url: string, solve: SolveContext): Promise<NamedContext> {
  if (parseGitContext(url) !== undefined) return { kind: 'git', url };
  const file: NamedContext = { kind: 'http', url };
  const head = await readContextFile(await solve(file), 'context');
  return isArchive(Buffer.from(head ?? [])) ? { ...file, isArchive: true } : file;
}

/**
 * The Dockerfile in such a context: at `file`, below its root; `Dockerfile` or `dockerfile` without one.
 *
 * @throws BuildError `dockerfile` when it is not there
 */
export async function remoteDockerfile(
  context: NamedContext,
  shown: string,
  file: string | undefined,
  solve: SolveContext,
): Promise<DockerfileText> {
  const snapshot = await solve(context);
  const isDockerfile = context.kind === 'http' && context.isArchive !== true;
  const path = posix.normalize(`/${file ?? 'Dockerfile'}`).slice(1);
  // BuildKit takes the lower-case name too, wherever the Dockerfile is.
  const lower = posix.basename(path) === 'Dockerfile' ? [posix.join(posix.dirname(path), 'dockerfile')] : [];
  for (const candidate of isDockerfile ? ['context'] : [path, ...lower]) {
    const data = await readContextFile(snapshot, candidate);
    if (data !== undefined) return { ...dockerfileFromBytes(data), filename: isDockerfile ? 'Dockerfile' : candidate };
  }
  throw new BuildError({
    code: 'dockerfile',
    message: `no Dockerfile: ${shown} has no ${path}`,
    hint: await nearNames(snapshot),
  });
}

/** `-f https://...`: only the Dockerfile is there. */
export async function readUrl(url: string, solve: SolveContext): Promise<DockerfileText> {
  return await remoteDockerfile({ kind: 'http', url }, url, undefined, solve);
}

async function nearNames(snapshot: Snapshot): Promise<string> {
  const names: string[] = [];
  for (const name of (await snapshot.files.list('')) ?? []) {
    if (/dockerfile|containerfile/i.test(name)) names.push(name);
  }
  if (names.length === 0) return 'name it with -f; the path is below the root of the context';
  return `it has ${names.sort().slice(0, 4).join(', ')}: name it with -f`;
}

/** A file of a snapshot, links followed inside it; undefined when there is none. */
async function readContextFile({ files }: Snapshot, path: string): Promise<Uint8Array | undefined> {
  const found = await resolvePath(files, path);
  if (found.entry?.type !== 'file') return undefined;
  const [location] = await files.locate([found.path]);
  if (location === undefined) return undefined;
  return location.kind === 'bytes' ? location.data : await readFile(location.path);
}
