import { BuildError, type SourceLocation } from '../contracts/index.ts';

/** What BuildKit reports for a vertex that was stopped; progress knows it by this. */
export const CANCELED = 'context canceled';

export function cancelled(): BuildError {
  return new BuildError({ code: 'cancelled', message: 'the build was cancelled' });
}

/** Any thrown value as an error that points to the step. What is not a BuildError already is a mistake of ours. */
export function toBuildError(error: unknown, location: SourceLocation | undefined): BuildError {
  if (error instanceof BuildError) return error.at(location);
  if (error instanceof Error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new BuildError({
        code: 'disk-full',
        message: error.message,
        hint: 'free some space where SLIPWAY_ROOT is',
        location,
        cause: error,
      });
    }
    return new BuildError({ code: 'internal', message: error.message, location, cause: error });
  }
  return new BuildError({ code: 'internal', message: String(error), location, cause: error });
}
