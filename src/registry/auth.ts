import { BuildError } from '../contracts/index.ts';
import { parseChallenges } from './challenge.ts';
import type { Challenge } from './challenge.ts';
import { findCredentials } from './credentials.ts';
import type { Credentials, FindCredentials } from './credentials.ts';
import type { Endpoint, Scheme } from './endpoints.ts';
import { errorLines, hostile, loginHint } from './errors.ts';
import { readBody } from './transport.ts';
import type { Env, WireRequest, WireResponse } from './transport.ts';

/** Who we were in a request. */
export type Authorization = 'none' | 'anonymous' | 'account';

export interface AuthorizedHeader {
  /** Value for `Authorization`. */
  readonly value: string | undefined;
  readonly as: Authorization;
}

/** Answers the challenges of registries (distribution's token and oauth specifications, RFC 7617) and remembers. */
export interface Authorizer {
  /** What to send first: a token or password that the endpoint took before, or nothing. */
  header(endpoint: Endpoint, scopes: readonly string[], signal: AbortSignal | undefined): Promise<AuthorizedHeader>;
  /**
   * After a 401: what to send instead of `sent`; undefined when there is nothing better to try.
   *
   * @throws BuildError `auth`, `hostile`, `registry`
   */
  answer(
    endpoint: Endpoint,
    scheme: Scheme,
    scopes: readonly string[],
    header: string,
    sent: AuthorizedHeader,
    signal: AbortSignal | undefined,
  ): Promise<AuthorizedHeader | undefined>;
  /** A broken helper or file that made us anonymous, for the error of a refusal. */
  problem(endpoint: Endpoint): string | undefined;
}

/** Seconds that a token is good for when its server does not say (distribution, token.md). */
const TOKEN_LIFE = 60;
const TOKEN_ANSWER_MAX = 1024 * 1024;
const TOKEN_MAX = 64 * 1024;
const NOTHING: AuthorizedHeader = { value: undefined, as: 'none' };

interface Token {
  readonly header: AuthorizedHeader;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

interface HostState {
  challenge?: { readonly challenge: Challenge; readonly scheme: Scheme } | undefined;
  credentials?: Promise<Credentials | undefined> | undefined;
  problem?: string | undefined;
  readonly tokens: Map<string, Promise<Token>>;
  /** Scopes that a registry wanted besides ours, by ours: behind a path prefix it may call a repository otherwise. */
  readonly wanted: Map<string, string>;
}

export function createAuthorizer(
  env: Env,
  send: (request: WireRequest) => Promise<WireResponse>,
  find: FindCredentials = findCredentials,
  now: () => number = Date.now,
): Authorizer {
  const hosts = new Map<string, HostState>();

  function stateOf(endpoint: Endpoint): HostState {
    const key = `${endpoint.account} ${endpoint.host}`;
    let state = hosts.get(key);
    if (state === undefined) hosts.set(key, (state = { tokens: new Map(), wanted: new Map() }));
    return state;
  }

  function credentialsOf(endpoint: Endpoint, state: HostState): Promise<Credentials | undefined> {
    state.credentials ??= find(endpoint.account, endpoint.path, env).catch((error: unknown) => {
      // A helper that is not installed must not stand in the way of public images.
      if (!(error instanceof BuildError)) throw error;
      state.problem = error.message;
      return undefined;
    });
    return state.credentials;
  }

  async function fromChallenge(
    endpoint: Endpoint,
    state: HostState,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<AuthorizedHeader> {
    if (state.challenge === undefined) return NOTHING;
    const { challenge, scheme } = state.challenge;
    const credentials = await credentialsOf(endpoint, state);
    if (challenge.scheme === 'basic') {
      return credentials?.kind === 'password' ? { value: basic(credentials), as: 'account' } : NOTHING;
    }
    const extra = state.wanted.get(scopes.join(' '));
    const all = extra === undefined ? scopes : [...scopes, extra];
    const key = all.join(' ');
    let pending = state.tokens.get(key);
    if (pending !== undefined && (await pending).expires <= now()) pending = undefined;
    if (pending === undefined) {
      pending = fetchToken({ endpoint, scheme, challenge, scopes: all, credentials, signal }, send, now);
      state.tokens.set(key, pending);
      pending.catch(() => state.tokens.delete(key));
    }
    return (await pending).header;
  }

  return {
    header: (endpoint, scopes, signal) => fromChallenge(endpoint, stateOf(endpoint), scopes, signal),
    async answer(endpoint, scheme, scopes, header, sent, signal) {
      const state = stateOf(endpoint);
      const challenges = parseChallenges(header);
      const challenge =
        challenges.find((c) => c.scheme === 'bearer' && c.parameters['realm'] !== undefined) ??
        challenges.find((c) => c.scheme === 'basic');
      if (challenge === undefined) return undefined;
      state.challenge = { challenge, scheme };
      // A token that has just been refused is stale: ask for another, once (the caller asks no third time).
      if (sent.value !== undefined) {
        for (const [key, pending] of state.tokens) {
          const token = await pending.catch(() => undefined);
          if (token?.header.value === sent.value) state.tokens.delete(key);
        }
      }
      const wanted = challenge.parameters['scope'];
      if (wanted !== undefined && !scopes.some((scope) => resourceOf(scope) === resourceOf(wanted))) {
        state.wanted.set(scopes.join(' '), wanted);
      }
      const next = await fromChallenge(endpoint, state, scopes, signal);
      return next.value === undefined || next.value === sent.value ? undefined : next;
    },
    problem: (endpoint) => stateOf(endpoint).problem,
  };
}

/** `repository:library/alpine` of `repository:library/alpine:pull`. */
function resourceOf(scope: string): string {
  return scope.slice(0, Math.max(scope.lastIndexOf(':'), 0));
}

interface TokenRequest {
  readonly endpoint: Endpoint;
  readonly scheme: Scheme;
  readonly challenge: Challenge;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  readonly signal: AbortSignal | undefined;
}

export async function fetchToken(
  request: TokenRequest,
  send: (request: WireRequest) => Promise<WireResponse>,
  now: () => number,
): Promise<Token> {
  const { endpoint, credentials } = request;
  const response = await send(tokenRequest(request));
  const body = await readBody(response, TOKEN_ANSWER_MAX);
  if (body === undefined) throw hostile('a token', endpoint.host, 'it is too large');
  if (response.status !== 200) {
    const refused = response.status === 401 || response.status === 403 || response.status === 400;
    throw new BuildError({
      code: refused ? 'auth' : 'registry',
      message: refused
        ? `the token server of ${endpoint.host} refuses ${credentials === undefined ? 'anonymous access' : 'the credentials it was given'}`
        : `the token server of ${endpoint.host} answered status ${response.status}`,
      hint: refused ? loginHint(endpoint.host) : undefined,
      detail: errorLines(body, response.headers['content-type'] ?? ''),
    });
  }
  const { token, life } = readToken(body, endpoint.host);
  return {
    header: { value: `Bearer ${token}`, as: credentials === undefined ? 'anonymous' : 'account' },
    // A tenth less, so that it does not expire on the way.
    expires: now() + life * 900,
  };
}

function tokenRequest({ endpoint, scheme, challenge, scopes, credentials, signal }: TokenRequest): WireRequest {
  const realm = realmUrl(challenge.parameters['realm'] ?? '', endpoint, scheme);
  const service = challenge.parameters['service'];
  const common = { verifyTls: endpoint.verifyTls, signal };
  if (credentials?.kind === 'identity-token') {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'slipway' });
    if (service !== undefined) form.set('service', service);
    form.set('scope', scopes.join(' '));
    form.set('refresh_token', credentials.token);
    return {
      ...common,
      method: 'POST',
      url: realm.href,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: Buffer.from(form.toString()),
    };
  }
  if (service !== undefined) realm.searchParams.set('service', service);
  for (const scope of scopes) realm.searchParams.append('scope', scope);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (credentials !== undefined) {
    realm.searchParams.set('account', credentials.username);
    headers['authorization'] = basic(credentials);
  }
  return { ...common, method: 'GET', url: realm.href, headers };
}

/**
 * The registry names the server that gets the user's password, so it must not be able to name one in plain http unless
 * it is spoken to that way itself.
 */
function realmUrl(realm: string, endpoint: Endpoint, scheme: Scheme): URL {
  if (!URL.canParse(realm)) throw hostile('a token server', endpoint.host, 'it is no URL');
  const url = new URL(realm);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && scheme === 'http')) return url;
  throw hostile('a token server', endpoint.host, `${url.protocol}//${url.host} is not encrypted`);
}

function readToken(body: Uint8Array, host: string): { token: string; life: number } {
  let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown } | null;
  try {
    answer = JSON.parse(new TextDecoder().decode(body)) as typeof answer;
  } catch {
    throw hostile('a token', host, 'it is not JSON');
  }
  const token = answer?.token ?? answer?.access_token;
  // Visible ASCII only (RFC 6750, 2.1): nothing else belongs in a header.
  if (typeof token !== 'string' || token.length > TOKEN_MAX || !/^[\x21-\x7e]+$/.test(token)) {
    throw hostile('a token', host, 'there is none in the answer');
  }
  const life = answer?.expires_in;
  return { token, life: typeof life === 'number' && life > 0 ? Math.max(life, TOKEN_LIFE) : TOKEN_LIFE };
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
