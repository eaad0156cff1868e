import { BuildError } from '../contracts/index.ts';
import { createAuthorizer } from './auth.ts';
import type { Authorization, AuthorizedHeader } from './auth.ts';
import { configFiles } from './credentials.ts';
import type { FindCredentials } from './credentials.ts';
import type { Endpoint, Scheme } from './endpoints.ts';
import { isLoopback } from './endpoints.ts';
import {
  answerError,
  cancelled,
  errorLines,
  failureError,
  hostile,
  isCertificateFailure,
  printable,
} from './errors.ts';
import { isTransientFailure, isTransientStatus, sleep, waitBefore } from './retry.ts';
import { createTransport, readBody } from './transport.ts';
import type { Env, RequestBody, WireRequest, WireResponse } from './transport.ts';
import type { Limits } from './types.ts';

export interface ClientRequest {
  readonly method: WireRequest['method'];
  /** Below the repository, as `/manifests/latest`; or a whole URL that an answer gave (an upload's Location). */
  readonly target: string;
  /** For messages: `docker.io/library/x:latest`, `blob sha256:...`. */
  readonly what: string;
  readonly scopes: readonly string[];
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: RequestBody | undefined;
  /** Statuses that are an answer; any other is an error. */
  readonly expect: readonly number[];
  readonly signal?: AbortSignal | undefined;
  readonly headersTimeout?: number | undefined;
  /** False when the caller repeats what is more than this request. Default true. */
  readonly retry?: boolean | undefined;
}

export interface ClientResponse extends WireResponse {
  /** After redirects. */
  readonly url: string;
}

/** Requests to registries as their users see them: redirects, logins and retries are dealt with here. */
export interface Client {
  readonly limits: Limits;
  /** @throws BuildError */
  send(endpoint: Endpoint, request: ClientRequest): Promise<ClientResponse>;
  /** A plain GET or HEAD anywhere. @throws BuildError */
  get(
    url: string,
    request: Pick<ClientRequest, 'headers' | 'signal'> & { method: 'GET' | 'HEAD' },
  ): Promise<ClientResponse>;
  close(): Promise<void>;
}

const REDIRECTS_MAX = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const ERROR_BODY_MAX = 64 * 1024;
/** A mirror that fails is passed over rather than waited for. */
const MIRROR_RETRIES = 1;

export function createClient(env: Env, limits: Limits, find?: FindCredentials): Client {
  const transport = createTransport(env, limits);
  const authorizer = createAuthorizer(
    env,
    (request) => persistently(request.signal, limits.retries, () => follow(request)),
    find,
  );
  /** What a host turned out to speak. */
  const spoken = new Map<string, Scheme>();

  /** Follows redirects of GET and HEAD. Credentials stay with the host that they are for. */
  async function follow(request: WireRequest): Promise<ClientResponse> {
    let url = new URL(request.url);
    let headers = request.headers;
    for (let hops = 0; ; hops++) {
      const response = await transport.send({ ...request, url: url.href, headers });
      const location = response.headers['location'];
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      if (!REDIRECTS.has(response.status) || location === undefined || !isRead) return { ...response, url: url.href };
      await response.drain();
      if (hops === REDIRECTS_MAX) throw hostile('a redirect', url.host, `there were more than ${REDIRECTS_MAX}`);
      if (!URL.canParse(location, url.href)) throw hostile('a redirect', url.host, 'its target is no URL');
      const next = new URL(location, url);
      if (next.protocol !== 'https:' && next.protocol !== 'http:') {
        throw hostile('a redirect', url.host, `it leads to ${next.protocol}`);
      }
      if (url.protocol === 'https:' && next.protocol === 'http:' && request.verifyTls) {
        throw hostile('a redirect', url.host, 'it leads from https to plain http');
      }
      if (next.origin !== url.origin) headers = withoutAuthorization(headers);
      url = next;
    }
  }

  /** Repeats what may pass, with growing pauses; the last answer or failure stands. */
  async function persistently(
    signal: AbortSignal | undefined,
    retries: number,
    attempt: () => Promise<ClientResponse>,
  ): Promise<ClientResponse> {
    for (let tries = 0; ; tries++) {
      let retryAfter: string | undefined;
      try {
        const response = await attempt();
        if (tries >= retries || !isTransientStatus(response.status)) return response;
        retryAfter = response.headers['retry-after'];
        await response.drain();
      } catch (error) {
        if (signal?.aborted === true) throw cancelled(signal);
        if (tries >= retries || !isTransientFailure(error)) throw error;
      }
      await sleep(waitBefore(tries, limits, retryAfter), signal).catch(() => {
        throw cancelled(signal);
      });
    }
  }

  /** Tries the schemes that the endpoint may speak; the first that answers is remembered. */
  async function inSomeScheme(
    endpoint: Endpoint,
    attempt: (scheme: Scheme) => Promise<ClientResponse>,
  ): Promise<ClientResponse> {
    const known = spoken.get(endpoint.host);
    if (known !== undefined) return attempt(known);
    const [first, second] = endpoint.schemes;
    if (first === undefined || second === undefined) return attempt(first ?? 'https');
    let answer: ClientResponse | { readonly error: unknown };
    try {
      answer = await attempt(first);
      // What servers with TLS answer to a request without.
      if (answer.status !== 400) {
        spoken.set(endpoint.host, first);
        return answer;
      }
    } catch (error) {
      answer = { error };
    }
    try {
      const other = await attempt(second);
      if (!('error' in answer)) await answer.drain();
      spoken.set(endpoint.host, second);
      return other;
    } catch (error) {
      if ('error' in answer) throw answer.error;
      // It does speak TLS, and its certificate is what is wrong.
      if (!isCertificateFailure(error)) return answer;
      await answer.drain();
      throw error;
    }
  }

  async function authorized(endpoint: Endpoint, request: ClientRequest): Promise<[ClientResponse, Authorization]> {
    let sent: AuthorizedHeader = await authorizer.header(endpoint, request.scopes, request.signal);
    for (let tries = 0; ; tries++) {
      let scheme: Scheme = 'https';
      const response = await inSomeScheme(endpoint, async (candidate) => {
        scheme = candidate;
        return follow(wireRequest(endpoint, request, candidate, sent.value));
      });
      const header = response.headers['www-authenticate'];
      if (response.status !== 401 || header === undefined || tries === 2) return [response, sent.as];
      const next = await authorizer.answer(endpoint, scheme, request.scopes, header, sent, request.signal);
      if (next === undefined) return [response, sent.as];
      await response.drain();
      sent = next;
    }
  }

  /** A refused HEAD has no body: what the registry has to say about it, it says to a GET. */
  async function withWords(
    refused: ClientResponse,
    endpoint: Endpoint,
    request: ClientRequest,
  ): Promise<ClientResponse> {
    if (request.method !== 'HEAD' || (refused.status !== 401 && refused.status !== 403)) return refused;
    const headers = { ...request.headers, range: 'bytes=0-0' };
    try {
      const [answer] = await authorized(endpoint, { ...request, method: 'GET', headers });
      if (answer.status === refused.status) return answer;
      await answer.drain();
    } catch {
      // Then it says nothing.
    }
    return refused;
  }

  return {
    limits,
    async send(endpoint, request) {
      const retries = endpoint.mirror ? Math.min(MIRROR_RETRIES, limits.retries) : limits.retries;
      let as: Authorization = 'none';
      let response: ClientResponse;
      try {
        response = await persistently(request.signal, request.retry === false ? 0 : retries, async () => {
          const [answer, authorization] = await authorized(endpoint, request);
          as = authorization;
          return answer;
        });
      } catch (error) {
        throw request.signal?.aborted === true
          ? cancelled(request.signal)
          : failureError(request.what, endpoint.host, error);
      }
      if (request.expect.includes(response.status)) return response;
      const worded = await withWords(response, endpoint, request);
      throw await unexpected(worded, request.what, endpoint.host, as, authorizer.problem(endpoint), configFiles(env));
    },
    async get(url, { method, headers = {}, signal }) {
      if (!URL.canParse(url)) throw new BuildError({ code: 'usage', message: `${printable(url)} is not a URL` });
      const target = new URL(url);
      const authorization = takeCredentials(target);
      const request: WireRequest = {
        method,
        url: target.href,
        headers: authorization === undefined ? headers : { ...headers, authorization },
        verifyTls: !isLoopback(target.host),
        signal,
      };
      try {
        return await persistently(signal, limits.retries, () => follow(request));
      } catch (error) {
        // Without the query, which may hold a token.
        throw signal?.aborted === true
          ? cancelled(signal)
          : failureError(target.origin + target.pathname, target.host, error);
      }
    },
    close: () => transport.close(),
  };
}

function wireRequest(
  endpoint: Endpoint,
  request: ClientRequest,
  scheme: Scheme,
  authorization: string | undefined,
): WireRequest {
  const origin = `${scheme}://${endpoint.host}`;
  const whole = URL.canParse(request.target);
  const url = whole ? request.target : `${origin}${endpoint.prefix}/v2/${endpoint.path}${request.target}`;
  const ours = !whole || new URL(url).origin === new URL(origin).origin;
  const headers = { ...request.headers };
  if (authorization !== undefined && ours) headers['authorization'] = authorization;
  const { method, body, signal, headersTimeout } = request;
  return { method, url, headers, body, signal, headersTimeout, verifyTls: endpoint.verifyTls };
}

/** `user:password@` of a URL as a header; it is taken out of the URL. */
function takeCredentials(url: URL): string | undefined {
  if (url.username === '') return undefined;
  const text = `${decoded(url.username)}:${decoded(url.password)}`;
  url.username = '';
  url.password = '';
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function withoutAuthorization(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}

async function unexpected(
  response: ClientResponse,
  what: string,
  host: string,
  as: Authorization,
  problem: string | undefined,
  files: readonly string[],
): Promise<BuildError> {
  const body = await readBody(response, ERROR_BODY_MAX).catch(() => undefined);
  const lines = body === undefined ? [] : errorLines(body, response.headers['content-type'] ?? '');
  return answerError(what, host, response.status, problem === undefined ? lines : [...lines, problem], as, files);
}
