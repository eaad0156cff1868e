import { BuildError } from '../contracts/index.ts';
import type { WireError } from './channel.ts';

/** What crosses the channel of an error of any kind. */
export function toWireError(error: unknown): WireError {
  if (error instanceof BuildError) {
    const { code, message, hint, detail, exitCode, cause } = error;
    const origin = cause instanceof Error ? (cause.stack ?? cause.message) : undefined;
    return { code, message, hint, detail, exitCode, cause: origin };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: 'internal',
    message: `the executor failed: ${message}`,
    cause: error instanceof Error ? error.stack : undefined,
  };
}

export function fromWireError(wire: WireError): BuildError {
  const { code, message, hint, detail, exitCode, cause } = wire;
  return new BuildError({
    code,
    message,
    hint,
    detail,
    exitCode,
    cause: cause === undefined ? undefined : new Error(cause),
  });
}
