/** The two calls of Docker's API that loading needs; Podman answers them too. */
import type { IncomingMessage, RequestOptions } from 'node:http';
import { BuildError } from '../../contracts/index.ts';
import { errnoOf } from '../../sys/errno.ts';
import type { Sink } from '../sink.ts';

export interface ApiAddress {
  /** For messages. */
  readonly what: string;
  readonly options: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  readonly tls?:
    | { readonly ca?: Buffer | undefined; readonly cert?: Buffer | undefined; readonly key?: Buffer | undefined }
    | undefined;
}

/** Milliseconds. */
const PING_TIMEOUT = 10_000;
/** Between the end of the archive and the answer: layers are unpacked then. Milliseconds. */
const LOAD_TIMEOUT = 600_000;
/** No answer that matters is longer. Bytes. */
const ANSWER_MAX = 4 << 20;

type Call = Omit<RequestOptions, 'headers'> & { readonly headers?: Readonly<Record<string, string>> };

async function start(address: ApiAddress, { headers, ...call }: Call) {
  const all = { ...address.options, ...call, headers: { host: 'docker', ...headers } };
  if (address.tls === undefined) return (await import('node:http')).request(all);
  const { ca, cert, key } = address.tls;
  const servername = 'host' in address.options ? address.options.host : undefined;
  return (await import('node:https')).request({ ...all, ca, cert, key, servername });
}

/** @throws BuildError `export`, `permission`: nobody there, or nobody that talks to us */
export async function pingApi(address: ApiAddress): Promise<void> {
  const request = await start(address, { method: 'GET', path: '/_ping', timeout: PING_TIMEOUT });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('timeout', () => request.destroy(new Error('it does not answer')));
    request.on('error', (error) => reject(unreachable(address, error)));
    request.end();
  });
  const { status, body } = await readAnswer(response, address);
  if (status === 200) return;
  throw refused(address, `status ${status}`, body);
}

/**
 * POST /images/load. Bytes go as they come; what the daemon says at the end decides.
 *
 * @throws BuildError `export` with the daemon's own words; `cancelled`
 */
export function loadSink(address: ApiAddress, signal: AbortSignal): Sink {
  let failure: BuildError | undefined;
  let isAnswered = false;
  const started = start(address, {
    method: 'POST',
    path: '/images/load?quiet=1',
    headers: { 'content-type': 'application/x-tar', 'transfer-encoding': 'chunked' },
    signal,
  });
  const answered = started.then(
    (request) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        request.on('response', (response) => {
          isAnswered = true;
          resolve(response);
        });
        request.on('error', (error) => {
          failure ??= signal.aborted
            ? new BuildError({ code: 'cancelled', message: 'cancelled' })
            : unreachable(address, error);
          reject(failure);
        });
      }),
  );
  // Asked for when all is written; until then it must not go unhandled.
  answered.catch(() => undefined);

  const finish = async (): Promise<void> => {
    const { status, body } = await readAnswer(await answered, address);
    const said = errorIn(body);
    if (status === 200 && said === undefined) return;
    throw refused(address, said ?? `status ${status}`, said === undefined ? body : '');
  };

  return {
    async write(data) {
      const request = await started;
      if (failure !== undefined) throw failure;
      // It gave its answer before it had everything: that is the reason.
      if (isAnswered) await finish();
      await new Promise<void>((resolve, reject) => {
        request.write(data, (error) => {
          if (error === undefined || error === null) resolve();
          else
            answered.then(finish, () => undefined).then(() => reject(failure ?? unreachable(address, error)), reject);
        });
      });
    },
    async commit() {
      const request = await started;
      request.setTimeout(LOAD_TIMEOUT, () => request.destroy(new Error('it does not answer')));
      request.end();
      await finish();
    },
    async abort() {
      (await started).destroy();
    },
  };
}

async function readAnswer(
  response: IncomingMessage,
  address: ApiAddress,
): Promise<{ readonly status: number; readonly body: string }> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= ANSWER_MAX) chunks.push(chunk);
    }
  } catch (error) {
    throw unreachable(address, error);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}

/** Of a stream of JSON objects, `{"stream":"Loaded image: x\n"}` or `{"error":"...","errorDetail":{...}}`. */
function errorIn(body: string): string | undefined {
  for (const line of body.split('\n')) {
    if (!line.startsWith('{')) continue;
    try {
      const { error, message } = JSON.parse(line) as { error?: unknown; message?: unknown };
      if (typeof error === 'string' && error !== '') return error;
      if (typeof message === 'string') return message;
    } catch {
      // Podman may add words of its own.
    }
  }
  return undefined;
}

function refused({ what }: ApiAddress, reason: string, body: string): BuildError {
  const detail = body
    .trim()
    .split('\n')
    .slice(0, 5)
    .filter((line) => line !== '');
  return new BuildError({ code: 'export', message: `${what} did not take the image: ${reason.trim()}`, detail });
}

function unreachable({ what }: ApiAddress, error: unknown): BuildError {
  const errno = errnoOf(error);
  const isDenied = errno === 'EACCES' || errno === 'EPERM';
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'nobody listens there',
    ENOENT: 'there is no such socket',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    ECONNRESET: 'it closed the connection',
    EPIPE: 'it closed the connection',
  };
  const reason = reasons[errno ?? ''] ?? (error instanceof Error ? error.message : String(error));
  return new BuildError({
    code: isDenied ? 'permission' : 'export',
    message: `cannot reach Docker or Podman at ${what}: ${reason}`,
    hint: isDenied
      ? 'run as root, or as a member of the group docker'
      : 'is it running? DOCKER_HOST says where it is; -o type=docker,dest=FILE needs none',
    cause: error,
  });
}
