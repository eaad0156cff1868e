/**
 * The session of a build: a connection on which the daemon is the client, and asks for files, credentials and secrets.
 * It travels inside `Control.Session`, or with dockerd on a connection of its own.
 */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Channel } from '../grpc/client.ts';
import { socketOfCall } from '../grpc/call-stream.ts';
import { serve, unary } from '../grpc/server.ts';
import type { Handler, Handlers } from '../grpc/server.ts';
import { dialDockerSession } from '../transport/dial.ts';
import type { DialOptions } from '../transport/dial.ts';
import type { Endpoint } from '../transport/endpoint.ts';
import { HEALTH_CHECK } from './methods.ts';

export interface Session {
  readonly id: string;
  /** Resolves when it is over, whoever ended it. */
  readonly closed: Promise<void>;
  close(): void;
}

export interface SessionOptions extends DialOptions {
  readonly id: string;
  /** The same for the same directories on the same machine: the daemon compares with what they held before. */
  readonly sharedKey: string;
  readonly services: Iterable<readonly [string, Handler]>;
  /** Failures of ours, which the daemon would only pass on as a text. */
  readonly onError: (path: string, error: unknown) => void;
}

/** The daemon asks for our health every 5 seconds; for this long without a question it is gone. Milliseconds. */
export const SILENCE_MAX = 90_000;

export function newSessionId(): string {
  // As BuildKit's identity.NewID looks: 25 characters of base36.
  return BigInt(`0x${randomBytes(17).toString('hex')}`)
    .toString(36)
    .padStart(25, '0')
    .slice(-25);
}

/** @throws BuildError when dockerd does not take it */
export async function openSession(channel: Channel, endpoint: Endpoint, options: SessionOptions): Promise<Session> {
  let heard = Date.now();
  const health = unary(HEALTH_CHECK, async () => {
    heard = Date.now();
    return { status: 1 };
  });
  const handlers: Handlers = new Map([health, ...options.services]);
  const headers = {
    'x-docker-expose-session-uuid': options.id,
    'x-docker-expose-session-name': 'slipway',
    'x-docker-expose-session-sharedkey': options.sharedKey,
    'x-docker-expose-session-grpc-method': [...handlers.keys()],
  };
  const stream: Duplex =
    endpoint.kind === 'docker'
      ? await dialDockerSession(endpoint, headers, options)
      : await socketOfCall(channel.open('/moby.buildkit.v1.Control/Session', { metadata: headers }));
  stream.on('error', () => undefined);
  const server = serve(stream, handlers, options.onError);
  // A connection that was cut without a word (a pulled cable, a sleeping laptop) is noticed by the silence.
  const watch = setInterval(() => {
    if (Date.now() - heard > SILENCE_MAX) server.close();
  }, 5000);
  watch.unref();
  const closed = server.closed.finally(() => clearInterval(watch));
  return { id: options.id, closed, close: () => server.close() };
}
