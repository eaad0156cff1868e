/** The standard input and output of a program as a connection. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { lostDaemon } from '../errors.ts';
import type { Endpoint, Environment } from './endpoint.ts';
import { socketPair } from './socket-pair.ts';

/** Of what the program says when it fails. Characters. */
const STDERR_MAX = 4096;
const INSTALL: Readonly<Record<string, string>> = {
  docker: 'install the docker command, or use docker:// for the BuildKit inside dockerd',
  podman: 'install podman, or give the daemon another address',
  kubectl: 'install kubectl and point KUBECONFIG to the cluster',
  ssh: 'install an ssh client',
};

const ends = new WeakMap<Duplex, Promise<Error>>();

/** Why a stream of a program ended: what the program said. Undefined for other streams, and while it runs. */
export async function endOfProgram(stream: Duplex): Promise<Error | undefined> {
  const end = ends.get(stream);
  if (end === undefined) return undefined;
  return await Promise.race([end, new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), GRACE))]);
}

/** A program whose connection has ended ends too. Milliseconds. */
const GRACE = 1000;

/**
 * Starts the program; its failure is the stream's error.
 *
 * @throws BuildError `builder` when there is no such program, or it ends before a byte has come
 */
export async function programStream(
  { command, args, what }: Extract<Endpoint, { kind: 'program' }>,
  { env, signal }: { readonly env: Environment; readonly signal: AbortSignal },
): Promise<Duplex> {
  const [near, far] = await socketPair();
  const shares = process.platform !== 'win32';
  // The program gets the far end itself; where handles cannot be shared, its pipes are joined to it.
  const child: ChildProcess = shares
    ? spawn(command, [...args], { env: { ...env }, stdio: [far, far, 'pipe'] })
    : spawn(command, [...args], { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const { stderr } = child;
  if (stderr === null) throw new TypeError('a program without standard error');
  if (shares) far.destroy();
  else {
    child.stdout?.pipe(far);
    if (child.stdin !== null) far.pipe(child.stdin);
    child.stdin?.on('error', () => undefined);
  }
  let said = '';
  stderr.setEncoding('utf8');
  stderr.on('data', (text: string) => (said = (said + text).slice(-STDERR_MAX)));
  const failed = (reason: string): Error => {
    const lines = said.trim().split('\n').slice(-5).filter(Boolean);
    return lostDaemon(`${what} cannot be reached: ${reason}`, {
      detail: lines,
      hint: hintFor(command, said),
    });
  };
  const exited = new Promise<Error>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) =>
      resolve(
        error.code === 'ENOENT'
          ? lostDaemon(`${what} cannot be reached: there is no program ${command}`, {
              hint: INSTALL[command],
              cause: error,
            })
          : failed(error.message),
      ),
    );
    child.on('close', (code) => resolve(failed(`${command} ended${code === null ? '' : ` with exit code ${code}`}`)));
  });
  void exited.then((error) => near.destroy(error));
  near.on('error', () => undefined);
  ends.set(near, exited);
  near.on('close', () => {
    if (child.exitCode === null) child.kill();
  });
  // A pipe is open at once; whether anybody is behind it shows when HTTP/2 answers or the program ends.
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      child.kill();
      reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    child.on('spawn', () => resolve());
    void exited.then(reject);
  });
  return near;
}

function hintFor(command: string, said: string): string | undefined {
  if (/buildctl.*(?:not found|no such file)|executable file not found/is.test(said))
    return 'the image of that container has no buildctl; use one like moby/buildkit';
  if (/not running|ContainerCreating|Pending|unable to upgrade connection/i.test(said))
    return 'it is not ready; wait until it runs, then build again';
  if (/no such container|not found|NotFound/i.test(said))
    return `check the name: ${command === 'kubectl' ? 'kubectl get pods' : `${command} ps`}`;
  if (/permission denied|forbidden|Host key verification/i.test(said))
    return 'this user may not; see what it says above';
  return undefined;
}
