import { chmodSync, chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ExecMount } from '../../contracts/index.ts';
import { asBuildError } from '../../sys/errno.ts';
import type { MountContext, PreparedMount } from './types.ts';

/** The value as a file on the executor's tmpfs, with the owner and mode that the step asked for. Never on a disk. */
export function secretMountOf(
  request: Extract<ExecMount, { readonly type: 'secret' }>,
  name: string,
  context: MountContext,
): PreparedMount {
  const file = context.place(name);
  try {
    writeFileSync(file, readFileSync(request.hostFile), { mode: 0o600, flag: 'wx' });
    chownSync(file, request.uid, request.gid);
    chmodSync(file, request.mode & 0o777);
  } catch (error) {
    throw asBuildError(error, 'make a secret available');
  }
  return {
    mount: {
      destination: request.target,
      type: 'bind',
      source: file,
      options: ['rbind', 'ro', 'nosuid', 'nodev', 'noexec'],
    },
    release() {
      rmSync(file, { force: true });
    },
  };
}
