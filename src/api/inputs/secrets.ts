import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { BuildError } from '../../contracts/index.ts';

/** The largest secret, in bytes, as BuildKit's. */
const MAX_SECRET_BYTES = 500 << 10;

/** Reads a secret when a step asks for it; undefined = not given. */
export type SecretProvider = (id: string) => Uint8Array | undefined;

/** A provider that knows which values it gave away, so that they can be kept out of what is said. */
export interface ServedSecrets {
  readonly provide: SecretProvider;
  /** As text; a value that is no text is not looked for. */
  values(): Iterable<string>;
}

/** Keeps count of what a provider gives away. */
export function servedSecrets(provider: SecretProvider): ServedSecrets {
  const served = new Map<string, string>();
  return {
    provide(id) {
      const value = provider(id);
      if (value !== undefined) served.set(id, Buffer.from(value).toString('utf8'));
      return value;
    },
    values: () => served.values(),
  };
}

/** The socket of an agent for RUN --mount=type=ssh; undefined = not given. */
export type SshProvider = (id: string) => string | undefined;

/**
 * `--secret` words: `id=ID[,type=file|env][,src=FILE|,env=NAME]`; without a source, the environment variable called like
 * the id, else the file (buildx: util/buildflags/secrets.go). Errors: `usage`; reading ones when a step asks.
 */
export function parseSecrets(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): SecretProvider {
  const given = new Map(words.map((word) => secret(word, env, cwd)));
  return (id) => given.get(id)?.();
}

function secret(
  word: string,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): readonly [string, () => Uint8Array] {
  const fields = new Map(
    word.split(',').map((field): [string, string] => {
      const at = field.indexOf('=');
      if (at <= 0)
        throw new BuildError({
          code: 'usage',
          message: `--secret ${word}: "${field}" is not NAME=VALUE`,
          hint: 'write it as id=token,src=token.txt or id=token,env=TOKEN',
        });
      return [field.slice(0, at).toLowerCase(), field.slice(at + 1)];
    }),
  );
  const source = fields.get('src') ?? fields.get('source');
  const id = fields.get('id') ?? source;
  if (!id)
    throw new BuildError({
      code: 'usage',
      message: `--secret ${word} has no id`,
      hint: 'write it as id=token,src=token.txt',
    });
  const variable =
    fields.get('env') ??
    (fields.get('type') === 'env' ? (source ?? id) : source === undefined && env[id] !== undefined ? id : undefined);
  if (variable !== undefined) {
    return [id, () => limited(id, Buffer.from(env[variable] ?? ''))];
  }
  const path = resolve(cwd, source ?? id);
  return [
    id,
    () => {
      try {
        return limited(id, readFileSync(path));
      } catch (error) {
        if (error instanceof BuildError) throw error;
        throw new BuildError({
          code: 'usage',
          message: `the secret ${id} cannot be read from ${path}: ${(error as Error).message}`,
          cause: error,
        });
      }
    },
  ];
}

function limited(id: string, data: Uint8Array): Uint8Array {
  if (data.length > MAX_SECRET_BYTES)
    throw new BuildError({
      code: 'usage',
      message: `the secret ${id} has ${data.length} bytes; at most ${MAX_SECRET_BYTES} are allowed`,
    });
  return data;
}

/** `--ssh` words: `default` (SSH_AUTH_SOCK) or `ID=SOCKET`. Errors: `usage`. */
export function parseSsh(words: readonly string[], env: Readonly<Record<string, string | undefined>>): SshProvider {
  const sockets = new Map(
    words.map((word): [string, string] => {
      const [id = '', path] = word.split('=', 2);
      const socket = path ?? env['SSH_AUTH_SOCK'];
      if (socket === undefined || socket === '')
        throw new BuildError({
          code: 'usage',
          message: `--ssh ${word}: no agent runs here (SSH_AUTH_SOCK is not set)`,
          hint: 'start ssh-agent, or give its socket: --ssh default=SOCKET',
        });
      return [id, socket.startsWith('~/') ? join(homedir(), socket.slice(2)) : socket];
    }),
  );
  return (id) => sockets.get(id);
}
