/** Notices a daemon that is silent for ever: a network that swallows everything closes no connection. */
import { GrpcError, STATUS } from './grpc/status.ts';

export interface AliveOptions {
  /** Between questions. Milliseconds. */
  readonly interval: number;
  /** Questions in a row without an answer, until the daemon counts as lost. */
  readonly misses: number;
  readonly signal: AbortSignal;
}

/**
 * Asks again and again; rejects when nobody answers any more, never resolves. What the daemon answers does not matter, a
 * refusal is a sign of life too.
 *
 * @param ask A small question, with a limit of time of its own.
 * @throws GrpcError `unavailable`
 */
export async function watchAlive(ask: () => Promise<unknown>, options: AliveOptions): Promise<never> {
  const { interval, misses, signal } = options;
  let missed = 0;
  for (;;) {
    await new Promise<void>((resolve) => setTimeout(resolve, interval).unref());
    if (signal.aborted) return await new Promise<never>(() => undefined);
    try {
      await ask();
      missed = 0;
    } catch (error) {
      missed = error instanceof GrpcError && error.code === STATUS.deadlineExceeded ? missed + 1 : 0;
    }
    if (missed >= misses) throw new GrpcError(STATUS.unavailable, 'it does not answer any more');
  }
}
