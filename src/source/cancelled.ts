import { BuildError } from '../contracts/index.ts';

/** What the one who stopped us said, or that it was stopped. */
export function cancelled(signal: AbortSignal): BuildError {
  return signal.reason instanceof BuildError
    ? signal.reason
    : new BuildError({ code: 'cancelled', message: 'cancelled', cause: signal.reason });
}
