import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CountingProxy {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `GET /v2/...` and the like, in order. */
  readonly requests: readonly { readonly method: string; readonly path: string; readonly bytes: number }[];
  /** Bytes of bodies, towards the client and away from it. */
  readonly down: number;
  readonly up: number;
  /** Forgets what was counted. */
  reset(): void;
  /** Answers like this for paths that match, instead of asking. */
  fail(pattern: RegExp, status: number, body?: string): void;
  stop(): Promise<void>;
}

/** Stands before a registry and counts what goes through. */
export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const state = { requests: [] as { method: string; path: string; bytes: number }[], down: 0, up: 0 };
  let failure: { readonly pattern: RegExp; readonly status: number; readonly body: string } | undefined;
  const [host, port] = target.split(':');
  const server = createServer((question, answer) => {
    const { method = 'GET', url = '/', headers } = question;
    const entry = { method, path: url, bytes: 0 };
    state.requests.push(entry);
    question.on('data', (chunk: Buffer) => (state.up += chunk.length));
    if (failure?.pattern.test(`${method} ${url}`) === true) {
      question.resume();
      answer.writeHead(failure.status, { 'content-type': 'application/json' });
      answer.end(failure.body);
      return;
    }
    const forwarded = request({ host, port, method, path: url, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.on('data', (chunk: Buffer) => {
        entry.bytes += chunk.length;
        state.down += chunk.length;
      });
      response.pipe(answer);
    });
    forwarded.on('error', () => answer.destroy());
    question.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return state.requests;
    },
    get down() {
      return state.down;
    },
    get up() {
      return state.up;
    },
    reset() {
      state.requests.length = 0;
      state.down = 0;
      state.up = 0;
      failure = undefined;
    },
    fail(pattern, status, body = '{}') {
      failure = { pattern, status, body };
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
