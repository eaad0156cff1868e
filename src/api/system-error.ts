import { BuildError } from '../contracts/index.ts';

/** Node's own error as one of ours, where it says something that a user can act on; undefined = a bug. */
export function systemError(error: unknown): BuildError | undefined {
  if (error instanceof BuildError) return error;
  if (!(error instanceof Error)) return undefined;
  const { code, path } = error as NodeJS.ErrnoException;
  const where = path === undefined ? '' : `: ${path}`;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new BuildError({
      code: 'disk-full',
      message: `no space left${where}`,
      hint: 'free some space, or put the state directory elsewhere with SLIPWAY_ROOT',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new BuildError({
      code: 'permission',
      message: `permission denied${where}`,
      hint: 'run as root, or put the state directory where you may write with SLIPWAY_ROOT',
      cause: error,
    });
  }
  if (error.name === 'AbortError') return new BuildError({ code: 'cancelled', message: 'stopped' });
  return undefined;
}
