/** Where a stream of bytes ends: a file that appears complete or not at all, a pipe, a program's input. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  write,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BuildError } from '../contracts/index.ts';
import { asBuildError, errnoOf } from '../sys/errno.ts';

export interface Sink {
  /** The bytes may be used again once it resolves. */
  write(data: Uint8Array): Promise<void>;
  /** All is written; the file appears under its name. */
  commit(): Promise<void>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

/** Runs `work` with a sink, and commits it or leaves nothing behind. */
export async function withSink(sink: Sink, work: (sink: Sink) => Promise<void>): Promise<void> {
  try {
    await work(sink);
    await sink.commit();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/**
 * Says what is wrong with a destination file without touching it.
 * @param path Absolute.
 * @throws BuildError `export`, `permission`.
 */
export function checkFileDestination(path: string): void {
  const stats = statOf(path);
  if (stats?.isDirectory() === true) {
    throw new BuildError({
      code: 'export',
      message: `${path} is a directory`,
      hint: 'name a file, as dest=image.tar, or use tar=false for a layout in a directory',
    });
  }
  checkWritable(stats === undefined || stats.isFile() ? dirname(path) : path);
}

/** @throws BuildError when `path`, a directory or a device, is not there or not ours to write. */
export function checkWritable(path: string): void {
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw destinationError(error, path);
  }
}

/** An error of the system about a destination. */
export function destinationError(error: unknown, path: string): BuildError {
  if (errnoOf(error) === 'ENOENT') {
    return new BuildError({
      code: 'export',
      message: `${path} does not exist`,
      hint: `mkdir -p ${path}`,
      cause: error,
    });
  }
  const known = asBuildError(error, path);
  if (known.code === 'disk-full') {
    return new BuildError({
      code: 'disk-full',
      message: known.message,
      hint: `free some space for ${path}`,
      cause: error,
    });
  }
  if (known.code !== 'host') return known;
  return new BuildError({ code: 'export', message: `cannot write ${path}: ${known.message}`, cause: error });
}

/**
 * A file, written under a temporary name beside it. What is no regular file (a fifo, a device) is written to as it is; a
 * link is followed.
 */
export function fileSink(path: string): Sink {
  checkFileDestination(path);
  const stats = statOf(path);
  const isPlain = stats === undefined || stats.isFile();
  const target = isPlain ? realName(path) : path;
  const temporary = isPlain ? join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}`) : target;
  let fd: number | undefined;
  try {
    fd = openSync(temporary, isPlain ? 'wx' : 'w', stats === undefined ? 0o666 : stats.mode & 0o777);
  } catch (error) {
    throw destinationError(error, path);
  }
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  return {
    async write(data) {
      if (fd === undefined) throw new BuildError({ code: 'internal', message: 'the destination is closed' });
      await writeAll(fd, data).catch((error: unknown) => {
        throw destinationError(error, path);
      });
    },
    async commit() {
      try {
        close();
        if (isPlain) renameSync(temporary, target);
      } catch (error) {
        throw destinationError(error, path);
      }
    },
    async abort() {
      close();
      if (!isPlain) return;
      try {
        unlinkSync(temporary);
      } catch {
        // It is there no more, and that is all that matters.
      }
    },
  };
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** The file behind links; the path itself when there is none yet. */
function realName(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function writeAll(fd: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (at: number): void =>
      write(fd, data, at, data.length - at, null, (error, written) => {
        if (error !== null) reject(error);
        else if (at + written < data.length) next(at + written);
        else resolve();
      });
    next(0);
  });
}

/** @throws BuildError `usage` when it is a terminal. */
export function checkStream(stream: NodeJS.WritableStream): void {
  if ('isTTY' in stream && stream.isTTY === true) {
    throw new BuildError({
      code: 'usage',
      message: 'an archive would be written to the terminal',
      hint: 'add dest=FILE, or redirect the output',
    });
  }
}

/**
 * Standard output or another stream, which stays open.
 * @throws BuildError `usage` when it is a terminal.
 */
export function streamSink(stream: NodeJS.WritableStream): Sink {
  checkStream(stream);
  let failure: unknown;
  const onError = (error: unknown): void => {
    failure = error;
  };
  stream.on('error', onError);
  const put = (data: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) {
        reject(streamError(failure));
        return;
      }
      stream.write(data, (error) => (error === undefined || error === null ? resolve() : reject(streamError(error))));
    });
  const end = async (): Promise<void> => void stream.removeListener('error', onError);
  return { write: put, commit: end, abort: end };
}

function streamError(error: unknown): BuildError {
  const closed = errnoOf(error) === 'EPIPE' || errnoOf(error) === 'ERR_STREAM_DESTROYED';
  return new BuildError({
    code: 'export',
    message: closed ? 'the reader of the output closed it before the end' : 'cannot write the output',
    cause: error,
  });
}

/** The input of a program, as `docker load`; it must end well for the export to. */
export function programSink(command: string, args: readonly string[], missing: string): Sink {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => output.push(data));
  child.stderr.on('data', (data: Buffer) => output.push(data));
  const ended = endOf(child);
  const failed = async (): Promise<BuildError> => {
    const result = await ended;
    const name = [command, ...args].join(' ');
    if (result instanceof Error) {
      const isMissing = errnoOf(result) === 'ENOENT';
      return new BuildError({
        code: 'export',
        message: `cannot run ${name}: ${isMissing ? 'there is no such program' : result.message}`,
        hint: missing,
        cause: result,
      });
    }
    const detail = Buffer.concat(output).toString('utf8').trim().split('\n').slice(-5);
    return new BuildError({
      code: 'export',
      message: `${name} failed with exit code ${result}`,
      hint: missing,
      detail,
    });
  };
  const input = streamSink(child.stdin);
  return {
    async write(data) {
      await input.write(data).catch(async () => {
        throw await failed();
      });
    },
    async commit() {
      await new Promise<void>((resolve) => child.stdin.end(resolve));
      if ((await ended) !== 0) throw await failed();
    },
    async abort() {
      child.kill();
      await ended;
    },
  };
}

function endOf(child: ChildProcess): Promise<number | Error> {
  return new Promise((resolve) => {
    child.once('error', resolve);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
