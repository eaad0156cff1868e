import { readFileSync, statSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { BuildError, type SourceFile } from '../../contracts/index.ts';
import { parseIgnoreFile, type IgnoreLine } from '../../pattern/index.ts';

/** No Dockerfile is longer; keeps `-f /dev/zero` from filling memory. Bytes. */
const MAX_DOCKERFILE_BYTES = 16 << 20;

export interface DockerfileText {
  readonly text: string;
  /** As the user knows it, for messages. */
  readonly filename: string;
  /** On disk; undefined when it came from standard input. */
  readonly path: string | undefined;
}

/**
 * Finds and reads the Dockerfile: `file` relative to `cwd`, else `Dockerfile`, else `dockerfile` in the context (as
 * BuildKit, dockerui/config.go). Errors: `dockerfile` naming where it looked, and near names that are there.
 */
export async function readDockerfile(
  contextDir: string,
  file: string | undefined,
  cwd: string,
): Promise<DockerfileText> {
  const candidates =
    file === undefined ? [join(contextDir, 'Dockerfile'), join(contextDir, 'dockerfile')] : [resolve(cwd, file)];
  for (const path of candidates) {
    const data = await readIfThere(path);
    if (data !== undefined) return { text: decode(data, path), filename: file ?? basename(path), path };
  }
  const looked = file ?? join(contextDir, 'Dockerfile');
  throw new BuildError({
    code: 'dockerfile',
    message: `no Dockerfile: ${looked} does not exist`,
    hint: await nearDockerfiles(contextDir, file),
  });
}

/** A Dockerfile that came as bytes. */
export function dockerfileFromBytes(data: Uint8Array): DockerfileText {
  return { text: decode(data, 'standard input'), filename: 'Dockerfile', path: undefined };
}

export interface IgnoreFile {
  readonly file: SourceFile;
  readonly lines: readonly IgnoreLine[];
}

/**
 * `NAME.dockerignore` beside the Dockerfile replaces the context's `.dockerignore` (dockerui/config.go).
 * Errors: `ignore-file` for a pattern that cannot be used.
 */
export async function readIgnoreFile(
  contextDir: string,
  dockerfilePath: string | undefined,
): Promise<IgnoreFile | undefined> {
  const candidates = [
    ...(dockerfilePath === undefined ? [] : [`${dockerfilePath}.dockerignore`]),
    join(contextDir, '.dockerignore'),
  ];
  for (const path of candidates) {
    const data = await readIfThere(path);
    if (data === undefined) continue;
    const text = Buffer.from(data).toString('utf8');
    const filename = basename(path);
    return { file: { filename, text, language: 'ignore' }, lines: parseIgnoreFile(text, filename) };
  }
  return undefined;
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    // Threads for a file that is read in 50 us would be the dearer part; a pipe may keep us waiting.
    return statSync(path).isFile() ? readFileSync(path) : await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EISDIR')
      throw new BuildError({ code: 'dockerfile', message: `${path} is a directory, not a file`, cause: error });
    if (code === 'EACCES')
      throw new BuildError({ code: 'permission', message: `${path} cannot be read: permission denied`, cause: error });
    throw new BuildError({
      code: 'dockerfile',
      message: `${path} cannot be read: ${(error as Error).message}`,
      cause: error,
    });
  }
}

function decode(data: Uint8Array, from: string): string {
  if (data.length > MAX_DOCKERFILE_BYTES) {
    throw new BuildError({ code: 'dockerfile', message: `${from} is no Dockerfile: it has ${data.length} bytes` });
  }
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8');
}

async function nearDockerfiles(contextDir: string, file: string | undefined): Promise<string> {
  const names = await readdir(contextDir).catch(() => []);
  const near = names.filter((name) => /dockerfile|containerfile/i.test(name)).sort();
  if (near.length > 0) return `${contextDir} has ${near.slice(0, 4).join(', ')}: name it with -f`;
  return file === undefined
    ? 'name it with -f, or give the directory that holds it as the context'
    : 'check the path after -f; it is relative to the current directory';
}
