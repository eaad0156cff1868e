/**
 * A gRPC client on Node's HTTP/2: unary calls and streams over one connection that is there already, be it a socket, an
 * upgraded one, TLS, or the pipes of a program.
 */
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import { decode, encode } from '../../llb/index.ts';
import type { MessageType } from '../../llb/index.ts';
import { IncomingMessages, writeMessage } from './message-stream.ts';
import { decodeGrpcMessage, GrpcError, STATUS, statusOfReset } from './status.ts';

export interface Method<Request, Response> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: MessageType<Request>;
  readonly response: MessageType<Response>;
}

export type Metadata = Readonly<Record<string, string | readonly string[]>>;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly metadata?: Metadata | undefined;
  /** Milliseconds until the call fails; absent = none. */
  readonly timeout?: number | undefined;
}

/** A stream of raw messages in both directions. */
export interface Call {
  readonly incoming: IncomingMessages;
  write(...parts: readonly Uint8Array[]): Promise<void>;
  /** No more will be written. */
  end(): void;
  cancel(): void;
  /** Resolves with the status OK, rejects with any other. */
  readonly done: Promise<void>;
}

export interface Channel {
  /** @throws GrpcError */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>;
  /** @throws GrpcError while it is read */
  serverStream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): AsyncIterable<Response>;
  /** A call whose messages the caller reads and writes. */
  open(path: string, options?: CallOptions): Call;
  /** Resolves when the connection is gone, with why where it did not end well. */
  readonly closed: Promise<Error | undefined>;
  close(): void;
}

/** What a stream, and a connection, may have under way: enough for fast links of some latency. Bytes. */
const STREAM_WINDOW = 1 << 20;
const CONNECTION_WINDOW = 16 << 20;

/** Speaks gRPC over `socket`. */
export function createChannel(socket: Duplex): Channel {
  const session = connect('http://localhost', {
    createConnection: () => socket,
    settings: { initialWindowSize: STREAM_WINDOW, maxHeaderListSize: 16 << 20, enablePush: false },
  });
  session.on('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW));
  let failure: Error | undefined;
  session.on('error', (error: Error) => (failure ??= error));
  session.on('goaway', (code: number, _last: number, data: Buffer | undefined) => {
    if (code === 0) return;
    const text = data === undefined ? '' : data.toString('utf8');
    failure ??= new GrpcError(STATUS.unavailable, `the daemon ended the connection${text === '' ? '' : `: ${text}`}`);
  });
  socket.on('error', (error: Error) => (failure ??= error));
  const closed = new Promise<Error | undefined>((resolve) => {
    const gone = (): void => {
      if (!session.destroyed) session.destroy();
      resolve(failure);
    };
    session.on('close', gone);
    socket.on('close', gone);
  });
  const lost = (): GrpcError =>
    failure instanceof GrpcError
      ? failure
      : new GrpcError(STATUS.unavailable, 'the connection is gone', undefined, failure);

  return {
    async unary(method, request, options = {}) {
      const call = openCall(session, method.path, options, lost);
      await call.write(encode(method.request, request));
      call.end();
      const message = await call.incoming.next();
      await call.done;
      if (message === undefined) throw new GrpcError(STATUS.internal, `${method.path} was answered without a message`);
      return decode(method.response, message);
    },
    async *serverStream(method, request, options = {}) {
      const call = openCall(session, method.path, options, lost);
      try {
        await call.write(encode(method.request, request));
        call.end();
        for await (const message of call.incoming) yield decode(method.response, message);
        await call.done;
      } finally {
        call.cancel();
      }
    },
    open: (path, options = {}) => openCall(session, path, options, lost),
    closed,
    close() {
      session.close();
      // Streams that never end (a session) must not keep it.
      session.destroy();
    },
  };
}

function openCall(session: ClientHttp2Session, path: string, options: CallOptions, lost: () => GrpcError): Call {
  const { signal, metadata = {}, timeout } = options;
  if (signal?.aborted === true) throw new GrpcError(STATUS.cancelled, 'cancelled', undefined, signal.reason);
  if (session.destroyed || session.closed) throw lost();
  const headers: OutgoingHttpHeaders = {
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'slipway',
    ...(timeout !== undefined && { 'grpc-timeout': `${timeout}m` }),
  };
  for (const [name, value] of Object.entries(metadata)) headers[name] = typeof value === 'string' ? value : [...value];
  const stream = session.request(headers);
  const incoming = new IncomingMessages(stream);
  const isGone = (): boolean => session.destroyed || session.closed;
  const done = settle(stream, incoming, options, { lost, isGone });
  // The messages end with the call, not with its data: whoever only reads hears of a failure there.
  done.catch((error: unknown) => incoming.fail(error));
  return {
    incoming,
    write: (...parts) => writeMessage(stream, ...parts),
    end: () => void stream.end(),
    cancel() {
      if (!stream.destroyed) stream.close(8);
    },
    done,
  };
}

/** How the call ended: by its trailers, by a reset, with the connection, by our own doing. */
function settle(
  stream: ClientHttp2Stream,
  incoming: IncomingMessages,
  { signal, timeout }: CallOptions,
  { lost, isGone }: { readonly lost: () => GrpcError; readonly isGone: () => boolean },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let status: GrpcError | 'ok' | undefined;
    let streamError: Error | undefined;
    const abort = (): void => {
      status ??= new GrpcError(STATUS.cancelled, 'cancelled', undefined, signal?.reason);
      stream.close(8);
    };
    signal?.addEventListener('abort', abort, { once: true });
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(() => {
            status ??= new GrpcError(STATUS.deadlineExceeded, `no answer within ${timeout} ms`);
            stream.close(8);
          }, timeout);
    const take = (headers: IncomingHttpHeaders): void => {
      if (headers['grpc-status'] === undefined) return;
      status ??= statusOf(headers);
      // The status ends the call whether or not we had more to say; a half that is left open would never close. What
      // has come already can still be read.
      if (!stream.destroyed && !stream.closed && !stream.writableFinished) stream.close(0);
    };
    stream.on('response', (headers) => {
      if (headers[':status'] !== 200) {
        status ??= new GrpcError(
          headers[':status'] === 401 || headers[':status'] === 403 ? STATUS.permissionDenied : STATUS.unavailable,
          `HTTP status ${headers[':status'] ?? 'unknown'}`,
        );
        stream.close(8);
      } else take(headers);
    });
    stream.on('trailers', take);
    stream.on('error', (error: Error) => (streamError ??= error));
    stream.on('close', () => {
      signal?.removeEventListener('abort', abort);
      clearTimeout(timer);
      if (status === 'ok') {
        incoming.end();
        resolve();
      } else if (status !== undefined) reject(status);
      // A connection that goes takes its streams with it, as if somebody had cancelled them.
      else if (stream.rstCode !== 0 && !isGone())
        reject(new GrpcError(statusOfReset(stream.rstCode), 'the call was cut short', undefined, streamError));
      else reject(lost());
    });
  });
}

function statusOf(headers: IncomingHttpHeaders): GrpcError | 'ok' {
  const code = Number(headers['grpc-status']);
  if (code === STATUS.ok) return 'ok';
  const message = headers['grpc-message'];
  const details = headers['grpc-status-details-bin'];
  return new GrpcError(
    Number.isInteger(code) ? code : STATUS.unknown,
    decodeGrpcMessage(typeof message === 'string' ? message : ''),
    typeof details === 'string' ? Buffer.from(details, 'base64') : undefined,
  );
}
