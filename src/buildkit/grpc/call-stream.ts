import { Duplex } from 'node:stream';
import { decode } from '../../llb/index.ts';
import { BytesMessage } from '../gen/control.ts';
import type { Call } from './client.ts';

/** The bytes of one `BytesMessage` field without copying them: tag and length of field 1. */
export function bytesMessagePrefix(length: number): Uint8Array {
  const prefix = [0x0a];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  prefix.push(rest);
  return Uint8Array.from(prefix);
}

/** Larger pieces are cut: BuildKit takes no message above 16 MiB. Bytes. */
const PIECE_MAX = 1 << 20;

/** A stream of `BytesMessage` in both directions, as a stream of bytes: BuildKit's `Control.Session` carries HTTP/2 so. */
export function duplexOfCall(call: Call): Duplex {
  return new Duplex({
    allowHalfOpen: false,
    highWaterMark: PIECE_MAX,
    write(chunk: Buffer, _encoding, callback) {
      void (async () => {
        for (let at = 0; at < chunk.length; at += PIECE_MAX) {
          const piece = chunk.subarray(at, at + PIECE_MAX);
          await call.write(bytesMessagePrefix(piece.length), piece);
        }
      })().then(() => callback(), callback);
    },
    final(callback) {
      call.end();
      callback();
    },
    read() {
      nextPiece(call).then(
        (piece) => this.push(piece ?? null),
        (error: unknown) => this.destroy(error instanceof Error ? error : undefined),
      );
    },
    destroy(error, callback) {
      call.cancel();
      callback(error);
    },
  });
}

/** The next bytes; undefined at the end. An empty piece says nothing and would look like one. */
async function nextPiece(call: Call): Promise<Uint8Array | undefined> {
  for (let message = await call.incoming.next(); message !== undefined; message = await call.incoming.next()) {
    const { data } = decode(BytesMessage, message);
    if (data !== undefined && data.length > 0) return data;
  }
  return undefined;
}
