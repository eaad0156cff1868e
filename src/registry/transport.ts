import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { hostCertificates } from './certificates.ts';
import type { HostCertificates } from './certificates.ts';
import { isLoopback } from './endpoints.ts';
import { atLeast, taken } from './pace.ts';
import type { Limits } from './types.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export type RequestBody = Uint8Array | { readonly size: number; open(): AsyncIterable<Uint8Array> };

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

/** One request, one answer: no redirects, no credentials, no retries. Rejects with undici's errors. */
export interface Transport {
  send(request: WireRequest): Promise<WireResponse>;
  close(): Promise<void>;
}

/** A body that nobody wants is read up to this many bytes; beyond it the connection is dropped. */
const DRAIN_MAX = 64 * 1024;

/** undici is loaded by the first request, so that builds that need no network do not pay for it. */
export function createTransport(env: Env, limits: Limits): Transport {
  const dispatchers = new Map<string, Promise<Dispatcher>>();
  const certificates = new Map<string, HostCertificates | undefined>();

  function dispatcherFor(url: URL, verifyTls: boolean): Promise<Dispatcher> {
    const proxy = isLoopback(url.host) ? undefined : proxyFor(url, env);
    const own = url.protocol === 'https:' ? certificatesOf(url.host) : undefined;
    const key = `${url.protocol} ${verifyTls} ${proxy ?? ''} ${own === undefined ? '' : url.host}`;
    let dispatcher = dispatchers.get(key);
    if (dispatcher === undefined) {
      // Who puts an authority there for a host wants it checked.
      const verify = verifyTls || (own !== undefined && own.ca.length > 0);
      dispatcher = createDispatcher(url.protocol === 'https:', verify, own, proxy, env, limits);
      dispatchers.set(key, dispatcher);
    }
    return dispatcher;
  }

  function certificatesOf(host: string): HostCertificates | undefined {
    if (!certificates.has(host)) certificates.set(host, hostCertificates(host, env));
    return certificates.get(host);
  }

  return {
    async send(request) {
      const { request: send } = await import('undici');
      const url = new URL(request.url);
      const dispatcher = await dispatcherFor(url, request.verifyTls);
      const headers: Record<string, string> = { 'user-agent': 'slipway', ...request.headers };
      let body: Uint8Array | Readable | null = null;
      const signals = request.signal === undefined ? [] : [request.signal];
      if (request.body instanceof Uint8Array) body = request.body;
      else if (request.body !== undefined) {
        headers['content-length'] = String(request.body.size);
        const paced = taken(request.body.open(), limits.idle);
        body = Readable.from(paced.body, { objectMode: false });
        signals.push(paced.signal);
      }
      const answer = await send(url, {
        dispatcher,
        method: request.method,
        headers,
        body,
        signal: signals.length < 2 ? (signals[0] ?? null) : AbortSignal.any(signals),
        headersTimeout: request.headersTimeout ?? limits.headers,
        bodyTimeout: limits.idle,
      });
      return {
        status: answer.statusCode,
        headers: plainHeaders(answer.headers),
        body: atLeast(answer.body, limits.idle),
        drain: () => answer.body.dump({ limit: DRAIN_MAX }).catch(() => undefined),
      };
    },
    async close() {
      const open = [...dispatchers.values()];
      dispatchers.clear();
      await Promise.allSettled(open.map(async (dispatcher) => (await dispatcher).destroy()));
    },
  };
}

async function createDispatcher(
  tls: boolean,
  verifyTls: boolean,
  own: HostCertificates | undefined,
  proxy: string | undefined,
  env: Env,
  limits: Limits,
): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent } = await import('undici');
  const authorities = tls && verifyTls ? { ca: [...(await trustedCertificates()), ...(own?.ca ?? [])] } : {};
  const trust = tls ? { rejectUnauthorized: verifyTls, ...authorities, ...own?.client } : {};
  const connect = { timeout: limits.connect, ...trust };
  // HTTP/1.1: blobs come over several connections anyway, and proxies in companies treat it best.
  const options = { connect, allowH2: false };
  if (proxy === undefined) return new Agent(options);
  return new EnvHttpProxyAgent({
    ...options,
    httpProxy: proxy,
    httpsProxy: proxy,
    noProxy: env['no_proxy'] ?? env['NO_PROXY'] ?? '',
    requestTls: connect,
  });
}

/** Node's own certificates and those of this machine, as Go programs and curl trust them. */
async function trustedCertificates(): Promise<string[]> {
  const { getCACertificates } = await import('node:tls');
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

/** As Go's httpproxy.FromEnvironment: each scheme has its own variable, lower case first. */
function proxyFor(url: URL, env: Env): string | undefined {
  const [lower, upper] = url.protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  const value = env[lower] ?? env[upper];
  if (value === undefined || value === '') return undefined;
  return value.includes('://') ? value : `http://${value}`;
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
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
