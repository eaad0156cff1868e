/** `FileSend`: results that end on this machine: a directory, a file, a pipe, `docker load`. */
import { mkdirSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import { loadDaemons, loadLocalWriter, loadSinks } from '../../export/index.ts';
import type { Sink } from '../../export/index.ts';
import { decode } from '../../llb/index.ts';
import { receiveFiles } from '../fsutil/receive.ts';
import type { DirectoryTarget } from '../fsutil/receive.ts';
import { BytesMessage } from '../gen/session.ts';
import type { Handler, ServerCall } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import type { Receive, RemoteOutput } from '../outputs.ts';
import { FILE_SEND } from './methods.ts';

export interface FileSendOptions {
  /** In the order of the exporters of the request. */
  readonly outputs: readonly RemoteOutput[];
  readonly stdout: NodeJS.WritableStream;
}

export function fileSendServices({ outputs, stdout }: FileSendOptions): readonly (readonly [string, Handler])[] {
  return [
    [
      FILE_SEND,
      async (call) => {
        // Daemons of one exporter name none.
        const index = Number(call.metadata('buildkit-attachable-exporter-id')[0] ?? firstOf(outputs));
        const receive = outputs[index]?.receive;
        if (receive === undefined || receive.kind === 'layout')
          throw new GrpcError(STATUS.notFound, `export ${index} expects no files`);
        if (receive.kind === 'directory') await intoDirectory(call, receive);
        else await intoSink(call, await openSink(receive, stdout, call.signal));
      },
    ],
  ];
}

function firstOf(outputs: readonly RemoteOutput[]): number {
  return outputs.findIndex(({ receive }) => receive !== undefined);
}

/** Says before the build what a destination would say after it. @throws BuildError `export`, `permission`, `usage` */
export async function checkDestinations(
  outputs: readonly RemoteOutput[],
  stdout: NodeJS.WritableStream,
): Promise<void> {
  const { checkFileDestination } = await loadSinks();
  const onStdout = outputs.filter(({ receive }) => receive?.kind === 'stdout');
  for (const { receive } of outputs) {
    if (receive?.kind === 'file') checkFileDestination(receive.dest);
    // A terminal is refused here.
    if (receive?.kind === 'stdout') await (await openSink(receive, stdout, AbortSignal.abort())).abort();
  }
  if (onStdout.length > 1) {
    throw new BuildError({
      code: 'usage',
      message: 'standard output has room for one archive only',
      hint: 'give the others a file: dest=FILE',
    });
  }
}

async function openSink(
  receive: Exclude<Receive, { kind: 'directory' | 'layout' }>,
  stdout: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<Sink> {
  const sinks = await loadSinks();
  switch (receive.kind) {
    case 'file':
      return sinks.fileSink(receive.dest);
    case 'stdout':
      return sinks.streamSink(stdout);
    case 'docker-load': {
      const { daemonSink, findImageDaemon } = await loadDaemons();
      return daemonSink(await findImageDaemon(process.env), signal);
    }
  }
}

/** The daemon half-closes when all is sent, and breaks the call off when it fails: then nothing shows. */
async function intoSink(call: ServerCall, sink: Sink): Promise<void> {
  const { withSink } = await loadSinks();
  await withSink(sink, async () => {
    for await (const message of call.incoming) {
      const { data } = decode(BytesMessage, message);
      if (data !== undefined) await sink.write(data);
    }
    if (call.signal.aborted) throw new GrpcError(STATUS.cancelled, 'the archive was cut short');
  });
}

async function intoDirectory(
  call: ServerCall,
  { dest, removeOthers }: Extract<Receive, { kind: 'directory' }>,
): Promise<void> {
  const { destinationError } = await loadSinks();
  try {
    mkdirSync(dest, { recursive: true });
  } catch (error) {
    throw destinationError(error, dest);
  }
  const writer = await directoryTarget(dest);
  try {
    await receiveFiles(call, writer, { removeOthers });
  } catch (error) {
    throw error instanceof GrpcError ? error : destinationError(error, dest);
  } finally {
    writer.close();
  }
}

async function directoryTarget(dest: string): Promise<DirectoryTarget & { close(): void }> {
  if (process.platform === 'linux') {
    const LocalWriter = await loadLocalWriter();
    return new LocalWriter(dest, undefined);
  }
  const { PortableWriter } = await import('../fsutil/portable-writer.ts');
  return new PortableWriter(dest);
}
