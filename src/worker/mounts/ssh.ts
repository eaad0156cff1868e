import { chmodSync, chownSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { ExecMount } from '../../contracts/index.ts';
import { asBuildError } from '../../sys/errno.ts';
import type { MountContext, PreparedMount } from './types.ts';

/**
 * A socket of our own, with the owner and mode that the step asked for, whose connections go on to the agent's: the
 * agent's socket keeps its permissions, and the step sees nothing else of the host.
 */
export async function sshMountOf(
  request: Extract<ExecMount, { readonly type: 'ssh' }>,
  name: string,
  context: MountContext,
): Promise<PreparedMount> {
  const path = context.place(name);
  const open = new Set<Socket>();
  const keep = (socket: Socket): void => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  };
  const server = createServer((step) => {
    const agent = connect(request.hostSocket);
    keep(step);
    keep(agent);
    step.pipe(agent).pipe(step);
    step.on('close', () => agent.destroy());
    agent.on('close', () => step.destroy());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chownSync(path, request.uid, request.gid);
    chmodSync(path, request.mode & 0o777);
  } catch (error) {
    server.close();
    throw asBuildError(error, 'forward the ssh agent');
  }
  return {
    mount: { destination: request.target, type: 'bind', source: path, options: ['rbind', 'nosuid', 'nodev', 'noexec'] },
    release() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
