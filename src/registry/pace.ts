/** Bounds for bodies that move, but as good as not (slow loris). Only time in which the other side is waited for counts. */
import type { Readable } from 'node:stream';
import { BODY_STOPPED, TOO_SLOW, UPLOAD_STALLED, coded } from './retry.ts';

/** Less is no network but somebody who wants to hold us. Bytes a second, over `idle`. */
const LEAST_RATE = 1024;

/** A body that fails when nothing, or less than the least, comes in `idle` milliseconds of waiting. */
export async function* atLeast(body: Readable, idle: number): AsyncGenerator<Uint8Array> {
  const parts = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let waited = 0;
  let received = 0;
  let isWaiting = false;
  const timer = setTimeout(() => isWaiting && body.destroy(coded(BODY_STOPPED, 'nothing came for a while')), idle);
  try {
    for (;;) {
      const asked = performance.now();
      isWaiting = true;
      timer.refresh();
      const next = await parts.next();
      isWaiting = false;
      if (next.done === true) return;
      waited += performance.now() - asked;
      received += next.value.length;
      if (waited >= idle) {
        if (received < (waited / 1000) * LEAST_RATE) throw coded(TOO_SLOW, 'the answer comes too slowly');
        waited = 0;
        received = 0;
      }
      yield next.value;
    }
  } finally {
    clearTimeout(timer);
    await parts.return?.();
  }
}

/** A body to send, and a signal that is given when the other side takes nothing of it for `idle` milliseconds. */
export function taken(
  parts: AsyncIterable<Uint8Array>,
  idle: number,
): { readonly body: AsyncIterable<Uint8Array>; readonly signal: AbortSignal } {
  const stalled = new AbortController();
  async function* body(): AsyncGenerator<Uint8Array> {
    for await (const part of parts) {
      const timer = setTimeout(() => stalled.abort(coded(UPLOAD_STALLED, 'the upload is not taken')), idle);
      try {
        yield part;
      } finally {
        clearTimeout(timer);
      }
    }
  }
  return { body: body(), signal: stalled.signal };
}
