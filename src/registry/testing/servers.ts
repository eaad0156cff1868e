/** Servers for tests: a front for a real registry that can ask for logins and break connections, and one of canned answers. */
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TestServer {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `METHOD path` of each request, in order. */
  readonly requests: string[];
  close(): Promise<void>;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, pass: () => void) => void;

/** Answers by `handler`; what it passes on goes to `target` (`HOST:PORT`). */
export async function startFront(handler: Handler, target?: string): Promise<TestServer> {
  const requests: string[] = [];
  const server = createServer((incoming, outgoing) => {
    requests.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
    outgoing.on('error', () => undefined);
    handler(incoming, outgoing, () => {
      if (target === undefined) outgoing.writeHead(404).end();
      else forward(incoming, outgoing, target);
    });
  });
  const host = await listen(server);
  return {
    host,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

/** Fetches from the target and lets `change` have the answer's body before it goes on. */
export function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  target: string,
  send?: (status: number, headers: Record<string, unknown>, body: Buffer) => void,
): void {
  const [hostname, port] = target.split(':');
  const headers = { ...incoming.headers };
  delete headers.authorization;
  // The target makes its Location headers of the host that it was asked under: the front's own.
  const inner = request({ hostname, port, method: incoming.method, path: incoming.url, headers }, (answer) => {
    const parts: Buffer[] = [];
    answer.on('data', (part: Buffer) => parts.push(part));
    answer.on('end', () => {
      const body = Buffer.concat(parts);
      if (send !== undefined) send(answer.statusCode ?? 500, answer.headers, body);
      else outgoing.writeHead(answer.statusCode ?? 500, answer.headers).end(body);
    });
  });
  inner.on('error', () => outgoing.destroy());
  incoming.pipe(inner);
}
