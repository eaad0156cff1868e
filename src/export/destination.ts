import { createWriteStream, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { once } from 'node:events';
import { BuildError } from '../contracts/index.ts';

/** A file or standard output being written; a file appears under its name when it is complete. */
export interface Destination {
  write(data: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** Errors: `export`, `disk-full`, `permission`, each with the path. */
export async function openDestination(dest: string, stdout: NodeJS.WritableStream): Promise<Destination> {
  if (dest === '-') return streamDestination(stdout);
  if (isDirectory(dest)) {
    throw new BuildError({
      code: 'export',
      message: `${dest} is a directory`,
      hint: 'give a file: dest=image.tar; or a directory with tar=false',
    });
  }
  const temporary = `${dest}.${process.pid}.partial`;
  try {
    mkdirSync(dirname(dest), { recursive: true });
  } catch (error) {
    throw exportError(dirname(dest), error);
  }
  const stream = createWriteStream(temporary, { highWaterMark: 1 << 20 });
  const failed = new Promise<never>((_, reject) => stream.once('error', (error) => reject(exportError(dest, error))));
  failed.catch(() => undefined);
  await Promise.race([once(stream, 'open'), failed]);
  return {
    write: async (data) => {
      if (!stream.write(data)) await Promise.race([once(stream, 'drain'), failed]);
    },
    commit: async () => {
      stream.end();
      await Promise.race([once(stream, 'close'), failed]);
      renameSync(temporary, dest);
    },
    abort: async () => {
      stream.destroy();
      rmSync(temporary, { force: true });
    },
  };
}

function streamDestination(stdout: NodeJS.WritableStream): Destination {
  return {
    write: async (data) => {
      if (!stdout.write(data)) await once(stdout, 'drain');
    },
    commit: async () => {
      await new Promise<void>((resolve) => stdout.write('', () => resolve()));
    },
    abort: async () => undefined,
  };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** What a system call said about a destination, as one of our errors. */
export function exportError(path: string, error: unknown): BuildError {
  if (error instanceof BuildError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new BuildError({ code: 'disk-full', message: `no space left for ${path}`, cause: error });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new BuildError({ code: 'permission', message: `${path} may not be written`, cause: error });
  return new BuildError({ code: 'export', message: `${path} cannot be written: ${message}`, cause: error });
}
