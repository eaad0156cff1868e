/** What a daemon says went wrong, as our errors. */
import { BuildError } from '../contracts/index.ts';
import type { BuildErrorInit, SourceFile, SourceLocation, SourceRange } from '../contracts/index.ts';
import { decode } from '../llb/index.ts';
import { RpcStatus } from './gen/control.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import type { StatusReader } from './status.ts';
import { inOurWords } from './said.ts';

/** An error of the daemon or of the way to it. */
export function builderError(
  message: string,
  init: Pick<BuildErrorInit, 'hint' | 'detail' | 'cause'> = {},
): BuildError {
  return new BuildError({ code: 'builder', message, ...init });
}

const lost = new WeakSet<BuildError>();

/** As `builderError`, of a daemon that is not there (any more): another one may do what it should have done. */
export function lostDaemon(message: string, init: Pick<BuildErrorInit, 'hint' | 'detail' | 'cause'> = {}): BuildError {
  const error = builderError(message, init);
  lost.add(error);
  return error;
}

export function isLostDaemon(error: unknown): boolean {
  return error instanceof BuildError && lost.has(error);
}

export interface ErrorSurroundings {
  /** As messages name the daemon. */
  readonly where: string;
  readonly signal?: AbortSignal | undefined;
  /** The files of the graph: the daemon sends them back in full, ours are the same objects as everywhere else. */
  readonly files?: readonly SourceFile[] | undefined;
  /** The step that failed with this message, under the daemon's name for it where that is known. */
  readonly failedStep?: StatusReader['failedStep'] | undefined;
}

/** Typed details of BuildKit's errors (solver/errdefs, as JSON): those that say something to a user. */
interface Details {
  readonly location: SourceLocation | undefined;
  readonly exitCode: number | undefined;
  readonly isExec: boolean;
  /** The daemon's digest of the vertex that failed. */
  readonly vertex: string | undefined;
}

/** @returns the error itself when it is one of ours already */
export function toBuildError(error: unknown, surroundings: ErrorSurroundings): unknown {
  const { where, signal } = surroundings;
  if (signal?.aborted === true && signal.reason instanceof BuildError) return signal.reason;
  if (error instanceof BuildError) return error;
  if (!(error instanceof GrpcError)) return error;
  if (error.cause instanceof BuildError) return error.cause;
  const details = readDetails(error.details, surroundings);
  const message = error.message;
  if (signal?.aborted === true) return new BuildError({ code: 'cancelled', message: 'stopped', cause: error });
  const step = surroundings.failedStep?.(message, details.vertex);
  // Ours knows best: the daemon's source map goes by digests that it has made anew.
  const location = step?.vertex.metadata.location ?? details.location;
  const exit = details.exitCode ?? exitCodeIn(message);
  if (exit !== undefined && (details.isExec || /did not complete successfully|executor failed running/.test(message))) {
    return new BuildError({
      code: 'run-failed',
      message: runMessage(message, exit),
      exitCode: exit,
      detail: step?.output,
      hint: runHint(exit),
      location,
      cause: error,
    });
  }
  const code = codeOf(error.code, message);
  // Nobody here has cancelled anything: the daemon ends, or has lost us.
  if (code === 'builder' && (error.code === STATUS.unavailable || error.code === STATUS.cancelled)) {
    return lostDaemon(`the connection to ${where} was lost`, {
      detail: message === '' || /connection is gone|cut short/.test(message) ? [] : [message],
      hint: 'nothing was written; build again when the daemon is there: it keeps what it has done',
      cause: error,
    });
  }
  const better = inOurWords(message);
  if (better !== undefined) return new BuildError({ ...better, location, cause: error });
  return new BuildError({ code, message: plain(message), hint: hintOf(code, message, where), location, cause: error });
}

function readDetails(bytes: Uint8Array | undefined, { files = [] }: ErrorSurroundings): Details {
  let vertex: string | undefined;
  let location: SourceLocation | undefined;
  let exitCode: number | undefined;
  let isExec = false;
  for (const { type_url: type = '', value } of anys(bytes)) {
    const name = /\/([\w.]+)\+json$/.exec(type)?.[1];
    if (name === undefined || value === undefined) continue;
    const json = parseJson(value);
    if (name.endsWith('.Source')) location ??= locationOf(json, files);
    else if (name.endsWith('.Vertex')) {
      const digest = field(json, 'digest');
      if (typeof digest === 'string') vertex = digest;
    } else if (name.endsWith('.ExitMessage')) {
      isExec = true;
      const code = field(json, 'Code') ?? field(json, 'code');
      if (typeof code === 'number') exitCode = code;
    }
  }
  return { location, exitCode, isExec, vertex };
}

function anys(
  bytes: Uint8Array | undefined,
): readonly { type_url?: string | undefined; value?: Uint8Array | undefined }[] {
  if (bytes === undefined) return [];
  try {
    return decode(RpcStatus, bytes).details ?? [];
  } catch {
    return []; // details are a service; the message stands without them
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

/** errdefs.Source: `{info: {filename, data}, ranges: [{start: {line, character}, end}]}`. */
function locationOf(json: unknown, files: readonly SourceFile[]): SourceLocation | undefined {
  const info = field(json, 'info');
  const filename = field(info, 'filename');
  const list = field(json, 'ranges');
  if (typeof filename !== 'string' || !Array.isArray(list)) return undefined;
  const data = field(info, 'data');
  const text = typeof data === 'string' ? Buffer.from(data, 'base64').toString('utf8') : '';
  const file = files.find((known) => known.filename === filename && (text === '' || known.text === text)) ?? {
    filename,
    text,
    language: 'Dockerfile' as const,
  };
  const ranges = list.map((range: unknown): SourceRange => ({
    start: positionOf(field(range, 'start')),
    end: positionOf(field(range, 'end')),
  }));
  return ranges.length === 0 ? undefined : { file, ranges };
}

function positionOf(value: unknown): { readonly line: number; readonly column: number } {
  const number = (name: string): number => {
    const found = field(value, name);
    return typeof found === 'number' ? found : 0;
  };
  return { line: number('line'), column: number('character') };
}

function exitCodeIn(message: string): number | undefined {
  const match = /exit code: (\d+)/.exec(message);
  return match === null ? undefined : Number(match[1]);
}

/** `process "/bin/sh -c exit 3" did not complete successfully: exit code: 3`, whatever was wrapped around it. */
function runMessage(message: string, exitCode: number): string {
  const process = /process "((?:[^"\\]|\\.)*)" did not complete/.exec(message)?.[1];
  // Until BuildKit 0.9.
  const old = /executor failed running \[(.*)\]: /s.exec(message)?.[1];
  const what = process?.replaceAll('\\"', '"').replaceAll('\\\\', '\\') ?? old ?? 'a step';
  return `process "${what}" did not complete successfully: exit code: ${exitCode}`;
}

function runHint(exitCode: number): string | undefined {
  if (exitCode === 127) return 'a program was not found: is it installed in this stage, and on its PATH?';
  if (exitCode === 126) return 'a file cannot be executed: check its mode (chmod +x) and its interpreter';
  if (exitCode === 137) return 'it was killed (SIGKILL), often for lack of memory';
  return undefined;
}

/** Go wraps errors in front; the last ones say what is wrong, and so do the first: only our own layers go. */
function plain(message: string): string {
  return message.replace(/^(?:rpc error: code = \w+ desc = )+/g, '').replace(/^failed to solve: /, '') || 'it failed';
}

function codeOf(grpc: number, message: string): BuildError['code'] {
  if (/no space left on device|disk quota exceeded/i.test(message)) return 'disk-full';
  if (/"[^"]*":? not found|failed to calculate checksum|no such file or directory/.test(message))
    return 'source-missing';
  if (/could not parse ssh|no ssh handler/i.test(message)) return 'usage';
  if (
    /(?:pull access denied|insufficient_scope|authorization failed|unauthorized|401 Unauthorized|403 Forbidden)/i.test(
      message,
    )
  )
    return 'auth';
  if (/failed to resolve source metadata|failed to resolve|manifest unknown/i.test(message))
    return /not found/i.test(message) ? 'image-not-found' : 'registry';
  if (/not allowed|entitlement|exporter "[^"]*" could not be found/i.test(message)) return 'unsupported';
  if (grpc === STATUS.unavailable) return 'builder';
  if (grpc === STATUS.unimplemented) return 'unsupported';
  return 'builder';
}

function hintOf(code: BuildError['code'], message: string, where: string): string | undefined {
  switch (code) {
    case 'disk-full':
      return `the disk of ${where} is full: free some space there (slipway builder prune)`;
    case 'usage':
      return 'give it with --ssh default';
    case 'unsupported':
      if (/exporter/.test(message))
        return "Docker's classic image store has the outputs image, local and tar only; switch on its containerd image store, or use another BuildKit";
      return /entitlement|not allowed/.test(message) ? `${where} does not allow it` : undefined;
    default:
      return undefined;
  }
}
