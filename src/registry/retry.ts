import { setTimeout as delay } from 'node:timers/promises';
import type { Limits } from './types.ts';

/** distribution-spec sets no limits; these are near those of containerd and Docker. */
export const DEFAULT_LIMITS: Limits = {
  connect: 10_000,
  headers: 60_000,
  idle: 60_000,
  retries: 4,
  backoff: 500,
  retryAfter: 60_000,
};

/** Statuses that may pass by themselves (RFC 9110, 15.5.9, 15.6; RFC 6585, 4). */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/**
 * Failures of the connection that may pass. A refused connection or a name that does not resolve will not within
 * seconds: the user should hear of it at once.
 */
export function isTransientFailure(error: unknown): boolean {
  return TRANSIENT.has(failureCode(error));
}

/** `code` of the cause of errors that stand for a transient status. */
export const TRANSIENT_STATUS = 'TRANSIENT_STATUS';

/** `code` of failures that we see ourselves: what does not come in time, an upload that is not taken, a body cut short. */
export const NO_CONNECTION = 'ERR_NO_CONNECTION';
export const NO_ANSWER = 'ERR_NO_ANSWER';
export const BODY_STOPPED = 'ERR_BODY_STOPPED';
export const TOO_SLOW = 'ERR_TOO_SLOW';
export const UPLOAD_STALLED = 'ERR_UPLOAD_STALLED';
export const BODY_CUT = 'ERR_BODY_CUT';

const TRANSIENT = new Set([
  TRANSIENT_STATUS,
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
  NO_CONNECTION,
  NO_ANSWER,
  BODY_STOPPED,
  TOO_SLOW,
  UPLOAD_STALLED,
  BODY_CUT,
]);

export function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** `code` of an error, of its cause, or of the first of many (happy eyeballs reports one for each address). */
export function failureCode(error: unknown): string {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; depth++) {
    const code = (e as NodeJS.ErrnoException).code;
    if (typeof code === 'string') return code;
    e = e.cause ?? (e instanceof AggregateError ? (e.errors[0] as unknown) : undefined);
  }
  return '';
}

/** Milliseconds until try number `attempt` (from 0), doubling, with up to a quarter of jitter; Retry-After wins. */
export function waitBefore(attempt: number, limits: Limits, retryAfter?: string): number {
  const asked = retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, Date.now());
  if (asked !== undefined) return Math.min(asked, limits.retryAfter);
  return limits.backoff * 2 ** attempt * (1 + Math.random() / 4);
}

/** RFC 9110, 10.2.3: seconds, or a date. Milliseconds from `now`; undefined when it is neither. */
export function parseRetryAfter(value: string, now: number): number | undefined {
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

export async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(milliseconds, undefined, { signal });
}
