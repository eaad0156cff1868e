import type { ExecMount } from '../../contracts/index.ts';
import type { OciMount } from '../runtime/spec.ts';
import { bindMountOf } from './bind.ts';
import { cacheMountOf } from './cache.ts';
import { secretMountOf } from './secret.ts';
import { sshMountOf } from './ssh.ts';
import { tmpfsMountOf } from './tmpfs.ts';
import type { MountContext, PreparedMount } from './types.ts';

/** All mounts of a step, in the order asked. `release` undoes them, last first; nothing is left when preparing fails. */
export async function prepareMounts(
  requests: readonly ExecMount[],
  context: MountContext,
): Promise<{ readonly mounts: readonly OciMount[]; readonly release: () => Promise<void> }> {
  const prepared: PreparedMount[] = [];
  const release = async (): Promise<void> => {
    for (const one of prepared.reverse()) await one.release();
  };
  try {
    for (const [index, request] of requests.entries()) {
      prepared.push(await prepareMount(request, `m${index}`, context));
    }
  } catch (error) {
    await release();
    throw error;
  }
  return { mounts: prepared.map((one) => one.mount), release };
}

async function prepareMount(request: ExecMount, name: string, context: MountContext): Promise<PreparedMount> {
  switch (request.type) {
    case 'bind':
      return bindMountOf(request, name, context);
    case 'cache':
      return cacheMountOf(request, name, context);
    case 'secret':
      return secretMountOf(request, name, context);
    case 'ssh':
      return sshMountOf(request, name, context);
    case 'tmpfs':
      return tmpfsMountOf(request, context);
  }
}
