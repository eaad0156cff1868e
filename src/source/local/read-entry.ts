/** What a stat does not say of a file of the user: link texts, attributes; and what goes wrong with it. */
import { readlinkSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { decodePath, encodePath } from '../../sys/path.ts';
import { readXattrs } from '../../sys/xattr.ts';

const CAPABILITY = 'security.capability';

/**
 * Attributes that belong in an image; those of the host's security modules and file systems do not. Of a directory on
 * this machine, capabilities do not either: BuildKit's receiver gives the file its owner last, which takes them away.
 */
export function isKeptXattr(name: string): boolean {
  return name.startsWith('user.') || name === CAPABILITY;
}

export function readLink(path: string): string {
  try {
    const target = readlinkSync(encodePath(path), 'utf8');
    return target.includes('\ufffd') ? decodePath(readlinkSync(encodePath(path), 'buffer')) : target;
  } catch (error) {
    throw contextError(error, path);
  }
}

export function contextError(error: unknown, path: string): BuildError {
  const code = errnoOf(error);
  if (code === 'EACCES' || code === 'EPERM') {
    return new BuildError({
      code: 'permission',
      message: `${path} cannot be read: permission denied`,
      hint: 'make it readable, or exclude it in .dockerignore',
      cause: error,
    });
  }
  const cause = asBuildError(error);
  return new BuildError({ ...cause.toInit(), code: 'context', message: `${path} cannot be read: ${cause.message}` });
}

/** The attributes of a file or directory of the context. @throws BuildError `context`, `permission`. */
export function readContextXattrs(path: string): ReadonlyMap<string, Uint8Array> {
  try {
    return readXattrs(path, (name) => isKeptXattr(name) && name !== CAPABILITY);
  } catch (error) {
    throw contextError(error, path);
  }
}
