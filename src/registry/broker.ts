import { BuildError } from '../contracts/index.ts';
import { fetchToken } from './auth.ts';
import { findCredentials } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { endpointsOf, isLoopback } from './endpoints.ts';
import { DEFAULT_LIMITS } from './retry.ts';
import { createTransport } from './transport.ts';
import type { Env } from './transport.ts';

/** What somebody else, who talks to registries for us, asks for: never more than a token where a token will do. */
export interface CredentialBroker {
  /** The user's credentials for a registry host, as `registry-1.docker.io`; undefined = none. */
  credentials(host: string): Promise<Credentials | undefined>;
  /**
   * A token of the server that a registry named, with the user's credentials or anonymously.
   *
   * @throws BuildError `auth`, `registry`, `hostile`
   */
  token(request: {
    readonly host: string;
    readonly realm: string;
    readonly service: string;
    readonly scopes: readonly string[];
    readonly signal?: AbortSignal | undefined;
  }): Promise<{ readonly token: string; /** Seconds. */ readonly expiresIn: number }>;
  close(): Promise<void>;
}

export function createCredentialBroker(env: Env): CredentialBroker {
  const transport = createTransport(env, DEFAULT_LIMITS);
  const found = new Map<string, Promise<Credentials | undefined>>();
  // Only the host counts for credentials; the endpoint of any repository there has it.
  const endpoint = (host: string) => endpointsOf(`${host}/any`, { mirrors: new Map(), insecure: [] })[0];
  const credentials = (host: string): Promise<Credentials | undefined> => {
    const { account } = endpoint(host);
    let known = found.get(account);
    if (known === undefined) {
      known = findCredentials(account, '', env);
      found.set(account, known);
    }
    return known;
  };
  return {
    credentials,
    async token({ host, realm, service, scopes, signal }) {
      if (!URL.canParse(realm)) throw new BuildError({ code: 'registry', message: `${host} names no token server` });
      const now = Date.now();
      const account = await credentials(host);
      const token = await fetchToken(
        {
          endpoint: endpoint(host),
          // A password goes in clear only to this machine.
          scheme: account === undefined || isLoopback(new URL(realm).host) ? 'http' : 'https',
          challenge: { scheme: 'bearer', parameters: { realm, ...(service !== '' && { service }) } },
          scopes,
          credentials: account,
          signal,
        },
        (request) => transport.send(request),
        () => now,
      );
      return {
        token: (token.header.value ?? '').replace(/^Bearer /, ''),
        expiresIn: Math.floor((token.expires - now) / 1000),
      };
    },
    close: () => transport.close(),
  };
}
