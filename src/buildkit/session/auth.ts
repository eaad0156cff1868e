/**
 * `Auth`: a daemon that talks to registries gets tokens, fetched here with the user's credentials, which stay. Old
 * daemons, and registries that know only passwords, get the credentials themselves.
 */
import { createHmac, createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createCredentialBroker } from '../../registry/index.ts';
import type { CredentialBroker } from '../../registry/index.ts';
import { unary } from '../grpc/server.ts';
import type { Handler } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import { CREDENTIALS, FETCH_TOKEN, GET_TOKEN_AUTHORITY, VERIFY_TOKEN_AUTHORITY } from './methods.ts';

/** DER of an ed25519 private key (RFC 8410) up to its 32 bytes of seed. */
const ED25519_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface AuthServices {
  readonly services: readonly (readonly [string, Handler])[];
  close(): Promise<void>;
}

export function authServices(env: Readonly<Record<string, string | undefined>>): AuthServices {
  const broker = createCredentialBroker(env);
  // Says to the daemon that two sessions are the same user's; ours is another one in each process.
  const secret = randomBytes(32);
  const keyFor = async (host: string, salt: Uint8Array): Promise<KeyObject> => {
    const mac = createHmac('sha256', salt);
    if ((await quietly(broker, host)) !== undefined) mac.update(`${host}\0`).update(secret);
    return createPrivateKey({ key: Buffer.concat([ED25519_PREFIX, mac.digest()]), format: 'der', type: 'pkcs8' });
  };
  const services = [
    unary(CREDENTIALS, async ({ Host: host = '' }) => {
      const found = await quietly(broker, host);
      if (found === undefined) return {};
      return found.kind === 'password' ? { Username: found.username, Secret: found.password } : { Secret: found.token };
    }),
    unary(
      FETCH_TOKEN,
      async ({ Host: host = '', Realm: realm = '', Service: service = '', Scopes: scopes = [] }, call) => {
        try {
          const { token, expiresIn } = await broker.token({ host, realm, service, scopes, signal: call.signal });
          return { Token: token, ExpiresIn: BigInt(expiresIn) };
        } catch (error) {
          throw new GrpcError(STATUS.unauthenticated, (error as Error).message, undefined, error);
        }
      },
    ),
    unary(GET_TOKEN_AUTHORITY, async ({ Host: host = '', Salt: salt = new Uint8Array() }) => {
      const spki = createPublicKey(await keyFor(host, salt)).export({ format: 'der', type: 'spki' });
      return { PublicKey: spki.subarray(-32) };
    }),
    unary(
      VERIFY_TOKEN_AUTHORITY,
      async ({ Host: host = '', Salt: salt = new Uint8Array(), Payload: payload = new Uint8Array() }) => {
        // NaCl's sign: the signature, then what was signed.
        return { Signed: Buffer.concat([sign(null, payload, await keyFor(host, salt)), payload]) };
      },
    ),
  ];
  return { services, close: () => broker.close() };
}

/** A credential helper that is not installed must not stand in the way of public images. */
async function quietly(broker: CredentialBroker, host: string) {
  try {
    return await broker.credentials(host);
  } catch {
    return undefined;
  }
}
