import { BuildError } from '../contracts/index.ts';
import {
  BODY_CUT,
  BODY_STOPPED,
  NO_ANSWER,
  NO_CONNECTION,
  TOO_SLOW,
  TRANSIENT_STATUS,
  UPLOAD_STALLED,
  failureCode,
  isTransientStatus,
} from './retry.ts';

/** Of texts that a registry sends, at most this much is shown. */
const SHOWN_TEXT_MAX = 400;

/** Text from outside, made fit for a terminal: no control characters, one line, bounded. */
export function printable(text: string): string {
  // Escape sequences in an answer must not reach the terminal.
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
  return clean.length > SHOWN_TEXT_MAX ? `${clean.slice(0, SHOWN_TEXT_MAX)}...` : clean;
}

/** The `errors` of an answer (distribution-spec, Error Codes) as lines `CODE: message`; empty when there are none. */
export function errorLines(body: Uint8Array, contentType: string): readonly string[] {
  const text = new TextDecoder().decode(body);
  try {
    const document = JSON.parse(text) as { errors?: unknown; details?: unknown; message?: unknown } | null;
    if (document !== null && typeof document === 'object') {
      if (Array.isArray(document.errors)) {
        return document.errors.slice(0, 5).flatMap((entry: unknown) => {
          if (entry === null || typeof entry !== 'object') return [];
          const { code, message } = entry as { code?: unknown; message?: unknown };
          const parts = [code, message].filter((part) => typeof part === 'string' && part !== '');
          return parts.length === 0 ? [] : [printable(parts.join(': '))];
        });
      }
      const single = document.details ?? document.message;
      if (typeof single === 'string') return [printable(single)];
    }
  } catch {
    // not JSON: a proxy's page, or plain text
  }
  return /html/i.test(contentType) || text.trim() === '' ? [] : [printable(text)];
}

/** The answer `status` to a request about `what` (as `docker.io/library/x:latest`). */
export function answerError(
  what: string,
  host: string,
  status: number,
  lines: readonly string[],
  authorization: 'none' | 'anonymous' | 'account',
  files: readonly string[] = [],
): BuildError {
  const detail = lines.map((line) => `${host}: ${line}`);
  if (status === 404) {
    return new BuildError({
      code: 'image-not-found',
      message: `${what} not found`,
      hint: `check the name and the tag; ${host} answered that it does not have it`,
      detail,
    });
  }
  if (status === 401 || status === 403) {
    const message =
      authorization === 'account'
        ? `${host} refuses access to ${what} with the credentials it was given`
        : `${host} refuses access to ${what} without a login, or it does not exist`;
    const read = files.length === 0 ? "Docker's config.json" : files.join(' and ');
    const found = authorization === 'account' ? `the credentials are of ${read}` : `there are none for it in ${read}`;
    return new BuildError({ code: 'auth', message, hint: `${found}; ${loginHint(host)}`, detail });
  }
  const why = status === 429 ? 'too many requests' : `status ${status}`;
  return new BuildError({
    code: 'registry',
    message: `${host} answered ${why} for ${what}`,
    hint: status === 429 ? `wait, log in, or use a mirror: ${MIRROR_HINT}` : undefined,
    detail,
    cause: isTransientStatus(status) ? Object.assign(new Error(why), { code: TRANSIENT_STATUS }) : undefined,
  });
}

export const MIRROR_HINT = '--mirror REGISTRY=HOST[:PORT] or SLIPWAY_MIRRORS=REGISTRY=HOST[:PORT]';

export function loginHint(host: string): string {
  const account = host === 'registry-1.docker.io' ? '' : ` ${host}`;
  return `check the name, or log in: slipway login${account}`;
}

/** A request that got no answer. */
export function failureError(what: string, host: string, cause: unknown): BuildError {
  if (cause instanceof BuildError) return cause;
  const code = failureCode(cause);
  const certificate = certificateProblem(code);
  const reason = FAILURES[code] ?? certificate?.reason ?? printable(cause instanceof Error ? cause.message : code);
  const hint =
    certificate?.hint ?? `check the network and the name; a registry near you can stand in for it: ${MIRROR_HINT}`;
  return new BuildError({ code: 'registry', message: `cannot reach ${host} for ${what}: ${reason}`, hint, cause });
}

const FAILURES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name does not resolve',
  EAI_AGAIN: 'the name cannot be resolved now',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ERR_STREAM_PREMATURE_CLOSE: 'the connection was cut',
  [BODY_CUT]: 'the connection was cut',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no network',
  ETIMEDOUT: 'no answer in time',
  [NO_CONNECTION]: 'no connection in time',
  [NO_ANSWER]: 'no answer in time',
  [BODY_STOPPED]: 'the answer stopped in the middle',
  [TOO_SLOW]: 'the answer came too slowly',
  [UPLOAD_STALLED]: 'it took no more of the upload',
};

export function isCertificateFailure(error: unknown): boolean {
  return certificateProblem(failureCode(error)) !== undefined;
}

/** What is wrong with a certificate, by the code of OpenSSL or Node. */
function certificateProblem(code: string): { readonly reason: string; readonly hint: string } | undefined {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID': {
      const state = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet';
      const now = new Date().toISOString().slice(0, 19);
      return {
        reason: `its certificate ${state}`,
        hint: `by the clock of this machine it is ${now} UTC: if that is right, the registry needs another certificate`,
      };
    }
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        reason: 'its certificate is for another name',
        hint: 'ask for it by the name that is in its certificate',
      };
    default:
      return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(code)
        ? {
            reason: `its certificate is not trusted (${code})`,
            hint: 'if the registry is yours: give its CA in NODE_EXTRA_CA_CERTS or certs.d (docs/registries.md), or name the host as insecure',
          }
        : undefined;
  }
}

/** What the one who stopped us said, or that it was stopped. */
export function cancelled(signal?: AbortSignal): BuildError {
  if (signal?.reason instanceof BuildError) return signal.reason;
  return new BuildError({ code: 'cancelled', message: 'cancelled' });
}

export function digestMismatch(what: string, host: string, found: string, wanted: string): BuildError {
  return new BuildError({
    code: 'digest-mismatch',
    message: `${what} from ${host} is not what its digest says: got ${found}, wanted ${wanted}`,
    hint: 'the registry, a mirror or a proxy in between serves damaged or altered content',
  });
}

export function hostile(what: string, host: string, reason: string): BuildError {
  return new BuildError({ code: 'hostile', message: `${host} sent ${what} that cannot be used: ${reason}` });
}
