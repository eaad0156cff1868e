/**
 * The channel between the main process and the executor: one socket, frames of
 *
 *     u32le length of the rest | u8 kind | payload
 *
 * with kind 0 = a JSON message, kind 1 = output of a step (u32le request, u8 stream, bytes). A socket of our own instead
 * of Node's IPC channel because output stays bytes, and because a full socket is felt by the writer.
 */
import type { Duplex } from 'node:stream';
import type { BuildErrorInit, ExecRequest, ExecResult, MaterializeRequest } from '../contracts/index.ts';

/** From the main process. */
export type Command =
  | { readonly kind: 'exec'; readonly id: number; readonly request: ExecRequest }
  | { readonly kind: 'materialize'; readonly id: number; readonly request: MaterializeRequest }
  | { readonly kind: 'cancel'; readonly id: number };

/** From the executor. */
export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly id: number; readonly result: ExecResult | null }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError };

/** A BuildError as JSON; the location stays in the main process, which knows it. */
export type WireError = Pick<BuildErrorInit, 'code' | 'message' | 'hint' | 'detail' | 'exitCode'> & {
  /** Stack or text of the cause, for `internal` errors. */
  readonly cause?: string | undefined;
};

const JSON_FRAME = 0;
const OUTPUT_FRAME = 1;
const HEADER = 5;

export interface Channel<Outgoing> {
  send(message: Outgoing): void;
  /** False when the socket is full: wait for `drained` before sending more. */
  sendOutput(id: number, stream: 1 | 2, data: Uint8Array): boolean;
  drained(): Promise<void>;
  end(): void;
}

export interface ChannelHandlers<Incoming> {
  readonly onMessage: (message: Incoming) => void;
  readonly onOutput?: (id: number, stream: 1 | 2, data: Uint8Array) => void;
  /** The other end is gone. */
  readonly onClose: () => void;
}

export function createChannel<Outgoing, Incoming>(
  socket: Duplex,
  handlers: ChannelHandlers<Incoming>,
): Channel<Outgoing> {
  const read = frameReader((kind, payload) => {
    if (kind === JSON_FRAME) handlers.onMessage(JSON.parse(payload.toString('utf8')) as Incoming);
    else if (kind === OUTPUT_FRAME) {
      handlers.onOutput?.(payload.readUInt32LE(0), payload[4] === 2 ? 2 : 1, payload.subarray(5));
    }
  });
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    handlers.onClose();
  };
  socket.on('data', read);
  socket.on('error', close);
  socket.on('end', close);
  socket.on('close', close);

  return {
    send(message) {
      if (closed) return;
      const payload = Buffer.from(JSON.stringify(message), 'utf8');
      const frame = Buffer.allocUnsafe(HEADER + payload.length);
      frame.writeUInt32LE(payload.length + 1, 0);
      frame[4] = JSON_FRAME;
      payload.copy(frame, HEADER);
      socket.write(frame);
    },
    sendOutput(id, stream, data) {
      if (closed) return true;
      const header = Buffer.allocUnsafe(HEADER + 5);
      header.writeUInt32LE(data.length + 6, 0);
      header[4] = OUTPUT_FRAME;
      header.writeUInt32LE(id, 5);
      header[9] = stream;
      socket.cork();
      socket.write(header);
      const more = socket.write(data);
      socket.uncork();
      return more;
    },
    drained() {
      if (closed || !socket.writableNeedDrain) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          socket.off('drain', done);
          socket.off('close', done);
          resolve();
        };
        socket.on('drain', done);
        socket.on('close', done);
      });
    },
    end() {
      socket.end();
    },
  };
}

/** Cuts a byte stream into frames; a frame that came in one piece is not copied. */
export function frameReader(onFrame: (kind: number, payload: Buffer) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    parts.push(chunk);
    size += chunk.length;
    if (size < HEADER) return;
    if (parts.length > 1 && !complete(parts, size)) return;
    let bytes = parts.length === 1 ? chunk : Buffer.concat(parts, size);
    while (bytes.length >= HEADER) {
      const length = bytes.readUInt32LE(0);
      if (bytes.length < 4 + length) break;
      onFrame(bytes[4] ?? 0, bytes.subarray(HEADER, 4 + length));
      bytes = bytes.subarray(4 + length);
    }
    parts = bytes.length === 0 ? [] : [bytes];
    size = bytes.length;
  };
}

/** Whether the first frame is all there; saves joining a large one again with each chunk. */
function complete(parts: readonly Buffer[], size: number): boolean {
  const first = parts[0];
  if (first === undefined || first.length < 4) return true;
  return size >= 4 + first.readUInt32LE(0);
}
