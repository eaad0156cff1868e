/** HTTP/1.1 as Node has it, with this machine's certificates and proxies, and bounds on every wait. */
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { hostCertificates } from './certificates.ts';
import type { HostCertificates } from './certificates.ts';
import { atLeast, taken } from './pace.ts';
import { proxyFor, proxyHeaders, proxyServerName, tunnel } from './proxy.ts';
import { BODY_CUT, NO_ANSWER, NO_CONNECTION, coded } from './retry.ts';
import type { Limits } from './types.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** `size` undefined: not known yet, and sent in chunks (RFC 9112, 7.1). */
export type RequestBody = Uint8Array | { readonly size: number | undefined; open(): AsyncIterable<Uint8Array> };

export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody | undefined;
  readonly verifyTls: boolean;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds to the head of the answer; absent = the general limit. */
  readonly headersTimeout?: number | undefined;
}

export interface WireResponse {
  readonly status: number;
  /** Lower-case names; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Leaving the loop early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Reads and drops a short body so that the connection can be used again. */
  drain(): Promise<void>;
}

/** One request, one answer: no redirects, no credentials, no retries. Rejects with Node's errors and those of `retry.ts`. */
export interface Transport {
  send(request: WireRequest): Promise<WireResponse>;
  close(): Promise<void>;
}

/** A body that nobody wants is read up to this many bytes; beyond it the connection is dropped. */
const DRAIN_MAX = 64 * 1024;
/** A connection that nobody used for so long may be closed by the server just when we use it. Milliseconds. */
const KEPT_IDLE = 4000;

/** Node's HTTP is loaded by the first request, so that builds that need no network do not pay for it. */
export function createTransport(env: Env, limits: Limits): Transport {
  const agents = new Map<string, Promise<Agent>>();
  const certificates = new Map<string, HostCertificates | undefined>();

  /** @param url Of the server that answers: the registry, or the proxy that hands plain http on. */
  function agentFor(url: URL, verifyTls: boolean, proxy: URL | undefined): Promise<Agent> {
    const tls = url.protocol === 'https:';
    const own = tls ? certificatesOf(url.host) : undefined;
    const key = `${url.protocol} ${verifyTls} ${proxy?.href ?? ''} ${own === undefined ? '' : url.host}`;
    let agent = agents.get(key);
    if (agent === undefined) {
      // Who puts an authority there for a host wants it checked.
      const verify = verifyTls || (own !== undefined && own.ca.length > 0);
      const through = proxy && { proxy, ca: certificatesOf(proxy.host)?.ca ?? [] };
      agent = tls ? tlsAgent(verify, own, through, limits) : plainAgent();
      agents.set(key, agent);
    }
    return agent;
  }

  function certificatesOf(host: string): HostCertificates | undefined {
    if (!certificates.has(host)) certificates.set(host, hostCertificates(host, env));
    return certificates.get(host);
  }

  return {
    async send(request) {
      const url = new URL(request.url);
      const proxy = proxyFor(url, env);
      // Plain http goes to the proxy as it is, https through it.
      const forwarder = url.protocol === 'http:' ? proxy : undefined;
      const agent = await (forwarder === undefined
        ? agentFor(url, request.verifyTls, proxy)
        : agentFor(forwarder, true, undefined));
      const { protocol } = forwarder ?? url;
      const { request: open } = protocol === 'https:' ? await import('node:https') : await import('node:http');
      const { method, signal, body, headersTimeout } = request;
      const headers: Record<string, string | number> = { 'user-agent': 'slipway', ...request.headers };
      const length = body instanceof Uint8Array ? body.length : body?.size;
      if (length !== undefined) headers['content-length'] = length;
      else if (body !== undefined) headers['transfer-encoding'] = 'chunked';
      const where: RequestOptions =
        forwarder === undefined
          ? { host: hostOf(url), port: url.port, path: url.pathname + url.search, headers }
          : {
              host: hostOf(forwarder),
              servername: proxyServerName(forwarder),
              port: forwarder.port,
              path: url.href,
              headers: { host: url.host, ...headers, ...proxyHeaders(forwarder) },
            };
      signal?.throwIfAborted();
      const sent = open({ ...where, method, agent });
      const closed = new Promise<void>((resolve) => sent.once('close', resolve));
      const answer = await answered(sent, body, signal, { ...limits, headers: headersTimeout ?? limits.headers });
      return wireResponse(answer, method, closed, limits);
    },
    async close() {
      const open = [...agents.values()];
      agents.clear();
      for (const agent of await Promise.allSettled(open)) if (agent.status === 'fulfilled') agent.value.destroy();
    },
  };
}

/** Sends the body; the head of the answer. Nothing that happens to the connection afterwards is lost on a reader of it. */
function answered(
  sent: ClientRequest,
  body: RequestBody | undefined,
  signal: AbortSignal | undefined,
  limits: Pick<Limits, 'connect' | 'headers' | 'idle'>,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const fail = (error: unknown): void => {
      (answer ?? sent).destroy(error instanceof Error ? error : new Error(String(error)));
    };
    const within = (milliseconds: number, code: string, message: string): NodeJS.Timeout =>
      setTimeout(() => fail(coded(code, message)), milliseconds);
    const connecting = within(limits.connect, NO_CONNECTION, 'no connection in time');
    let answering: NodeJS.Timeout | undefined;
    const onAbort = (): void => fail(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });

    sent.on('socket', (socket) => {
      const isReady = sent.reusedSocket || !(socket.connecting || 'encrypted' in socket);
      if (isReady) clearTimeout(connecting);
      else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => clearTimeout(connecting));
    });
    sent.on('finish', () => {
      if (answer === undefined) answering = within(limits.headers, NO_ANSWER, 'no answer in time');
    });
    sent.on('response', (response) => {
      clearTimeout(answering);
      answer = response;
      // Who reads it later hears of it then.
      response.on('error', () => undefined);
      // An answer before the end of the upload is a refusal: what is left of it is of no use to anybody.
      response.once('end', () => sent.writableEnded || sent.destroy());
      resolve(response);
    });
    sent.on('error', reject);
    sent.on('close', () => {
      clearTimeout(connecting);
      clearTimeout(answering);
      signal?.removeEventListener('abort', onAbort);
      reject(coded('ECONNRESET', 'the connection was closed'));
    });
    if (body === undefined || body instanceof Uint8Array) sent.end(body);
    else upload(sent, body, limits.idle, () => answer !== undefined).catch(fail);
  });
}

/** Sends a body piece by piece, each when the one before is on its way, until all is sent or the answer is there. */
async function upload(
  sent: ClientRequest,
  source: Exclude<RequestBody, Uint8Array>,
  idle: number,
  isAnswered: () => boolean,
): Promise<void> {
  let wake: (() => void) | undefined;
  sent.once('close', () => wake?.());
  sent.once('response', () => wake?.());
  const { body, signal } = taken(source.open(), idle);
  signal.addEventListener('abort', () => sent.destroy(signal.reason as Error));
  let total = 0;
  let isWhole = true;
  for await (const part of body) {
    total += part.length;
    await new Promise<void>((resolve) => {
      wake = resolve;
      sent.write(part, () => resolve());
    });
    isWhole = !(isAnswered() || sent.destroyed);
    if (!isWhole) break;
  }
  if (source.size === undefined ? isWhole : total === source.size) sent.end();
  else if (!isAnswered() && !sent.destroyed)
    throw coded(BODY_CUT, `${total} bytes came to be sent, not ${source.size}`);
}

function wireResponse(
  answer: IncomingMessage,
  method: WireRequest['method'],
  closed: Promise<void>,
  { idle }: Limits,
): WireResponse {
  // There is nothing to read, but until it is read the connection is not free.
  if (method === 'HEAD') answer.resume();
  async function* body(): AsyncGenerator<Uint8Array> {
    if (method !== 'HEAD') yield* atLeast(answer, idle);
    // Only then the next request finds the connection.
    await closed;
  }
  return {
    status: answer.statusCode ?? 0,
    headers: plainHeaders(answer.headers),
    body: { [Symbol.asyncIterator]: body },
    async drain() {
      let size = 0;
      try {
        for await (const part of body()) if ((size += part.length) > DRAIN_MAX) return;
      } catch {
        // It is of no interest.
      }
    },
  };
}

async function plainAgent(): Promise<Agent> {
  const { Agent } = await import('node:http');
  return new Agent({ keepAlive: true, timeout: KEPT_IDLE });
}

async function tlsAgent(
  verifyTls: boolean,
  own: HostCertificates | undefined,
  through: { readonly proxy: URL; readonly ca: readonly string[] } | undefined,
  limits: Limits,
): Promise<Agent> {
  const { Agent } = await import('node:https');
  const trusted = verifyTls || through?.proxy.protocol === 'https:' ? await trustedCertificates() : [];
  const authorities = verifyTls ? { ca: [...trusted, ...(own?.ca ?? [])] } : {};
  const options = { rejectUnauthorized: verifyTls, ...authorities, ...own?.client };
  const agent = new Agent({ keepAlive: true, timeout: KEPT_IDLE, ...options });
  if (through === undefined) return agent;
  const { connect } = await import('node:tls');
  agent.createConnection = (to: ConnectionOptions, callback) => {
    const { host = '', port = 443, servername } = to;
    const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    tunnel(through.proxy, target, limits.connect, [...trusted, ...through.ca]).then(
      (socket) => callback?.(null, connect({ ...options, socket, host, servername })),
      (error: unknown) => callback?.(error as Error, undefined as unknown as Duplex),
    );
    return undefined;
  };
  return agent;
}

/** Node's own certificates and those of this machine, as Go programs and curl trust them. */
async function trustedCertificates(): Promise<string[]> {
  const { getCACertificates } = await import('node:tls');
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

/** Without the brackets of IPv6. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

/**
 * Reads a body of at most `max` bytes; undefined when it is longer. At most a fixed number of bytes is held whatever
 * Content-Length says.
 */
export async function readBody(response: WireResponse, max: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.length;
    if (size > max) return undefined;
    parts.push(part);
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}
