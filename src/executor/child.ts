/**
 * The executor's child: pid 1 of a pid namespace, alone in a mount namespace. Takes requests from the channel, answers
 * them, and ends when the channel closes; the kernel then ends all that it started.
 *
 * Arguments: store root, runtime (`''` = any), `terminal` when descriptors 4 to 6 are the user's terminal.
 */
import { Socket } from 'node:net';
import { BuildError, type ExecRequest, type ExecResult } from '../contracts/index.ts';
import { exitAtOnce } from '../sys/wait.ts';
import { materialize, openStepEnvironment, runStep } from '../worker/kernel.ts';
import { createChannel, type Answer, type Command } from './channel.ts';
import { toWireError } from './wire-error.ts';

const CHANNEL_FD = 3;
const TERMINAL_FDS = [4, 5, 6] as const;

const [root = '', runtime = '', terminalArgument = ''] = process.argv.slice(2);
const terminal = terminalArgument === 'terminal' ? TERMINAL_FDS : undefined;

// Ours to decide, not the terminal's: with the channel gone we are.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.umask(0);

const running = new Map<number, AbortController>();
const environment = open();

const channel = createChannel<Answer, Command>(new Socket({ fd: CHANNEL_FD, readable: true, writable: true }), {
  onMessage(command) {
    if (command.kind === 'cancel') running.get(command.id)?.abort();
    else void serve(command);
  },
  onClose() {
    if ('value' in environment) environment.value.finish();
    exitAtOnce(0);
  },
});
channel.send({ kind: 'ready' });

/** An environment that cannot be set up is the answer to each request; a death here would say less. */
function open(): { readonly value: ReturnType<typeof openStepEnvironment> } | { readonly error: unknown } {
  try {
    return { value: openStepEnvironment(root, runtime === '' ? undefined : runtime) };
  } catch (error) {
    return { error };
  }
}

async function serve(command: Exclude<Command, { readonly kind: 'cancel' }>): Promise<void> {
  const { id } = command;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    if ('error' in environment) throw environment.error;
    const { signal } = controller;
    let result: ExecResult | null = null;
    if (command.kind === 'exec') result = await execute(id, command.request, signal);
    else await materialize(environment.value, command.request, signal);
    channel.send({ kind: 'done', id, result });
    running.delete(id);
  } catch (error) {
    running.delete(id);
    channel.send({ kind: 'failed', id, error: toWireError(error) });
  }
}

function execute(id: number, request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
  if ('error' in environment) throw environment.error;
  if (request.tty === true && terminal === undefined) {
    throw new BuildError({ code: 'internal', message: 'an interactive step needs an executor of its own' });
  }
  return runStep(environment.value, request, {
    signal,
    terminal: request.tty === true ? terminal : undefined,
    onOutput: (stream, data) => (channel.sendOutput(id, stream, data) ? undefined : channel.drained()),
  });
}
