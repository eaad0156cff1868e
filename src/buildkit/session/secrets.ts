import { connect } from 'node:net';
import { decode } from '../../llb/index.ts';
import { BytesMessage } from '../gen/session.ts';
import { bytesMessagePrefix } from '../grpc/call-stream.ts';
import { unary } from '../grpc/server.ts';
import type { Handler, ServerCall } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import { CHECK_AGENT, FORWARD_AGENT, GET_SECRET } from './methods.ts';

/** The value of a secret; undefined = not given. */
export type SecretProvider = (id: string) => Uint8Array | undefined;
/** The socket of an agent; undefined = not given. */
export type SshProvider = (id: string) => string | undefined;

/** `Secrets`: a secret leaves this machine when a step asks for it, never before. */
export function secretServices(secrets: SecretProvider): readonly (readonly [string, Handler])[] {
  return [
    unary(GET_SECRET, async ({ ID: id = '' }) => {
      const data = secrets(id);
      if (data === undefined) throw new GrpcError(STATUS.notFound, `secret ${id}: not found`);
      return { data };
    }),
  ];
}

/** `SSH`: bytes between a step and the user's agent. */
export function sshServices(ssh: SshProvider): readonly (readonly [string, Handler])[] {
  const socketOf = (id: string): string => {
    const socket = ssh(id === '' ? 'default' : id);
    if (socket === undefined)
      throw new GrpcError(STATUS.notFound, `unset ssh forward key ${id === '' ? 'default' : id}`);
    return socket;
  };
  return [
    unary(CHECK_AGENT, async ({ ID: id = '' }) => {
      socketOf(id);
      return {};
    }),
    [FORWARD_AGENT, async (call) => forward(call, socketOf(call.metadata('buildkit.ssh.id')[0] ?? ''))],
  ];
}

async function forward(call: ServerCall, path: string): Promise<void> {
  const socket = connect({ path });
  const failed = new Promise<never>((_, reject) =>
    socket.on('error', (error) =>
      reject(new GrpcError(STATUS.unavailable, `the ssh agent at ${path}: ${error.message}`)),
    ),
  );
  failed.catch(() => undefined);
  const toAgent = (async () => {
    for await (const message of call.incoming) {
      const { data } = decode(BytesMessage, message);
      if (data !== undefined) socket.write(data);
    }
    socket.end();
  })();
  const fromAgent = (async () => {
    for await (const chunk of socket) {
      const data = chunk as Buffer;
      await call.write(bytesMessagePrefix(data.length), data);
    }
  })();
  try {
    await Promise.race([Promise.all([toAgent, fromAgent]), failed]);
  } finally {
    socket.destroy();
    toAgent.catch(() => undefined);
    fromAgent.catch(() => undefined);
  }
}
