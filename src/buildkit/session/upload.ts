/** `Upload`: a tar from standard input, which the daemon fetches as if it were a URL of the session. */
import { bytesMessagePrefix } from '../grpc/call-stream.ts';
import type { Handler } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import { UPLOAD_PULL } from './methods.ts';
import { newSessionId } from './session.ts';

export interface Uploads {
  readonly services: readonly (readonly [string, Handler])[];
  /** Offers a stream, once; returns its URL. */
  offer(stream: AsyncIterable<Uint8Array>): string;
}

/** What the daemon's http source knows as ours (BuildKit, session/upload). */
const ORIGIN = 'http://buildkit-session/';
/** In one message. Bytes. */
const PIECE = 1 << 20;

export function createUploads(): Uploads {
  const offered = new Map<string, AsyncIterable<Uint8Array>>();
  return {
    offer(stream) {
      const id = newSessionId();
      offered.set(id, stream);
      return `${ORIGIN}${id}`;
    },
    services: [
      [
        UPLOAD_PULL,
        async (call) => {
          const id = (call.metadata('urlpath')[0] ?? '').replace(/^.*\//, '');
          const stream = offered.get(id);
          if (stream === undefined) throw new GrpcError(STATUS.notFound, `no upload ${id}`);
          offered.delete(id);
          for await (const chunk of stream) {
            for (let at = 0; at < chunk.length; at += PIECE) {
              const piece = chunk.subarray(at, at + PIECE);
              await call.write(bytesMessagePrefix(piece.length), piece);
            }
          }
        },
      ],
    ],
  };
}
