/** A gRPC server on one connection: the daemon is its client (BuildKit's session). */
import { performServerHandshake } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { decode, encode } from '../../llb/index.ts';
import type { Method } from './client.ts';
import { IncomingMessages, writeBytes, writeMessage } from './message-stream.ts';
import { encodeGrpcMessage, GrpcError, STATUS } from './status.ts';

/** A call from the other side. */
export interface ServerCall {
  /** Values of a metadata key (lower-case), in the order sent. */
  metadata(name: string): readonly string[];
  /** Every key with its values. */
  readonly allMetadata: ReadonlyMap<string, readonly string[]>;
  readonly incoming: IncomingMessages;
  write(...parts: readonly Uint8Array[]): Promise<void>;
  /** Messages with their prefixes. */
  writeFramed(bytes: Uint8Array): Promise<void>;
  /** Aborted when the caller gave up or the connection is gone. */
  readonly signal: AbortSignal;
}

/** Answers one call; it ends with OK when the handler resolves, with its error otherwise. */
export type Handler = (call: ServerCall) => Promise<void>;

/** By path, `/package.Service/Method`. */
export type Handlers = ReadonlyMap<string, Handler>;

export interface GrpcServer {
  readonly closed: Promise<void>;
  close(): void;
}

const STREAM_WINDOW = 1 << 20;

/** A handler of a unary method. */
export function unary<Request, Response>(
  method: Method<Request, Response>,
  answer: (request: Request, call: ServerCall) => Promise<Response>,
): readonly [string, Handler] {
  return [
    method.path,
    async (call) => {
      const message = await call.incoming.next();
      if (message === undefined) throw new GrpcError(STATUS.invalidArgument, 'the request is missing');
      await call.write(encode(method.response, await answer(decode(method.request, message), call)));
    },
  ];
}

/**
 * Serves `handlers` to whoever is at the other end of `socket`.
 *
 * @param onError told of failures of ours that the daemon will only pass on as a text
 */
export function serve(
  socket: Duplex,
  handlers: Handlers,
  onError: (path: string, error: unknown) => void = () => undefined,
): GrpcServer {
  const session = performServerHandshake(socket, {
    // Lists of patterns come as headers, one each.
    maxHeaderListPairs: 1 << 16,
    settings: { initialWindowSize: STREAM_WINDOW, maxHeaderListSize: 16 << 20 },
  });
  session.on('error', () => undefined);
  const running = new Set<AbortController>();
  session.on('stream', (stream, headers, _flags, ...rest: unknown[]) => {
    const abort = new AbortController();
    running.add(abort);
    stream.on('close', () => {
      running.delete(abort);
      abort.abort(new GrpcError(STATUS.cancelled, 'the caller is gone'));
    });
    const path = headers[':path'] ?? '';
    const raw = Array.isArray(rest[0]) ? (rest[0] as readonly string[]) : [];
    void answer(stream, path, raw, handlers.get(path), abort.signal).catch((error: unknown) => onError(path, error));
  });
  const closed = new Promise<void>((resolve) => {
    const gone = (): void => {
      if (!session.destroyed) session.destroy();
      resolve();
    };
    session.on('close', gone);
    socket.on('close', gone);
  });
  return {
    closed,
    close() {
      for (const abort of running) abort.abort(new GrpcError(STATUS.cancelled, 'the session ends'));
      session.destroy();
      socket.destroy();
    },
  };
}

async function answer(
  stream: ServerHttp2Stream,
  path: string,
  rawHeaders: readonly string[],
  handler: Handler | undefined,
  signal: AbortSignal,
): Promise<void> {
  stream.on('error', () => undefined);
  const incoming = new IncomingMessages(stream);
  stream.on('end', () => incoming.end());
  stream.on('aborted', () => incoming.fail(new GrpcError(STATUS.cancelled, 'the caller is gone')));
  stream.on('close', () => incoming.end());
  const metadata = metadataOf(rawHeaders);
  const respond = (): void => {
    if (stream.headersSent || stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  };
  let status: GrpcError | undefined;
  let failure: Error | undefined;
  try {
    if (handler === undefined) throw new GrpcError(STATUS.unimplemented, `${path} is not served`);
    await handler({
      metadata: (name) => metadata.get(name) ?? [],
      allMetadata: metadata,
      incoming,
      write(...parts) {
        respond();
        return writeMessage(stream, ...parts);
      },
      writeFramed(bytes) {
        respond();
        return writeBytes(stream, bytes);
      },
      signal,
    });
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    status = error instanceof GrpcError ? error : new GrpcError(STATUS.unknown, (error as Error).message);
  }
  if (!stream.destroyed) {
    respond();
    stream.on('wantTrailers', () =>
      stream.sendTrailers({
        'grpc-status': String(status?.code ?? STATUS.ok),
        'grpc-message': encodeGrpcMessage(status?.message ?? ''),
      }),
    );
    stream.end();
    // What is still coming is of no use any more.
    if (!stream.readableEnded) stream.resume();
  }
  if (failure !== undefined && !(failure instanceof GrpcError)) throw failure;
}

/** Node joins repeated headers by commas, which values may hold; the raw list keeps them apart. */
function metadataOf(raw: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const metadata = new Map<string, string[]>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    const values = metadata.get(name);
    if (values === undefined) metadata.set(name, [value]);
    else values.push(value);
  }
  return metadata;
}
