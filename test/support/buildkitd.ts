/** A buildkitd of this machine, or the one of make-buildkitd.ts, where there is one: on a socket, and with TLS on a port. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { makeCertificates } from './buildkit-bridge.ts';
import { CACHE } from './dockerd.ts';

export interface Buildkitd {
  /** `unix://`. */
  readonly socket: string;
  /** `tcp://` with the files for TLS. */
  readonly port: string;
  stop(): Promise<void>;
}

/** Where make-buildkitd.ts leaves `buildkitd` and `buildctl`. */
export const BUILDKIT_DIRECTORY = join(CACHE, 'buildkit');

/** PATH with `buildkitd` and `buildctl` on it; undefined = there are none, and no test of them is defined. */
export function buildkitPath(): string | undefined {
  const own = process.env['PATH'] ?? '';
  const found = [own, `${BUILDKIT_DIRECTORY}:${own}`].find(
    (path) => spawnSync('buildkitd', ['--version'], { env: { PATH: path } }).status === 0,
  );
  return found;
}

export async function startBuildkitd(dir: string): Promise<Buildkitd> {
  mkdirSync(dir, { recursive: true });
  makeCertificates(dir);
  const file = (name: string): string => join(dir, name);
  const port = await freePort();
  const log = openSync(file('buildkitd.log'), 'a');
  const words = [
    `--root=${file('state')}`,
    '--allow-insecure-entitlement=network.host',
    `--addr=unix://${file('buildkitd.sock')}`,
    `--addr=tcp://127.0.0.1:${port}`,
    `--tlscacert=${file('ca.pem')}`,
    `--tlscert=${file('server.pem')}`,
    `--tlskey=${file('server-key.pem')}`,
  ];
  const env = { ...process.env, PATH: buildkitPath() };
  const child = spawn('buildkitd', words, { stdio: ['ignore', log, log], detached: true, env });
  closeSync(log);
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()));
  for (let i = 0; !(existsSync(file('buildkitd.sock')) && (await accepts(port))); i++) {
    if (child.exitCode !== null || i > 300)
      throw new Error(`buildkitd does not start:\n${readFileSync(file('buildkitd.log'), 'utf8')}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    socket: `unix://${file('buildkitd.sock')}`,
    port: `tcp://localhost:${port}?ca=${file('ca.pem')}&cert=${file('client.pem')}&key=${file('client-key.pem')}`,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
