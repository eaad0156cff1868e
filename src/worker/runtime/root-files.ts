/** What a step's user and working directory need of its root, found inside the root whatever links are in it. */
import { closeSync, constants, readFileSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';
import { errnoOf } from '../../sys/errno.ts';
import { O_PATH } from '../../sys/libc.ts';
import { resolveInRoot } from '../snapshot/root-path.ts';
import type { RunUser } from './user.ts';

/** Mount points below these are on file systems of the runtime's, never in the root. */
const VIRTUAL = ['/proc', '/sys', '/dev'];

export function isVirtual(destination: string): boolean {
  return VIRTUAL.some((path) => destination === path || destination.startsWith(`${path}/`));
}

/**
 * As BuildKit: a working directory that is not there is made, owned by the user. Not below /proc and its like, which the
 * step does not see in the root.
 * Errors: `run-failed` when it is no directory.
 */
export function ensureWorkingDirectory(root: ConfinedRoot, rootfs: string, cwd: string, user: RunUser): void {
  if (cwd === '' || cwd === '/' || isVirtual(cwd)) return;
  try {
    closeSync(root.openInRoot(cwd, O_PATH | constants.O_DIRECTORY));
    return;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOTDIR') {
      throw new BuildError({
        code: 'run-failed',
        message: `the working directory ${cwd} is not a directory`,
        hint: 'see the WORKDIR instruction that is in force here',
        cause: error,
      });
    }
    if (errno !== 'ENOENT') throw error;
  }
  const { path, existing } = resolveInRoot(rootfs, cwd);
  const names = path.split('/');
  for (let length = existing + 1; length <= names.length; length++) {
    const directory = names.slice(0, length).join('/');
    root.mkdir(directory, 0o755);
    root.chown(directory, user.uid, user.gid);
  }
}

/** Undefined when it cannot be read. Never waits, whatever the path is. */
export function readInRoot(root: ConfinedRoot, path: string): string | undefined {
  let fd: number;
  try {
    fd = root.openInRoot(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    return readFileSync(fd, 'utf8');
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}
