import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** The reference registry, on loopback, with storage of its own. */
export interface BenchRegistry {
  readonly host: string;
  /** Stops it, removes what it has, starts it again. */
  empty(): Promise<void>;
  stop(): void;
}

/** `registry` or `docker-registry` on PATH, or what `BENCH_REGISTRY_PROGRAM` says. */
export async function startRegistry(dir: string): Promise<BenchRegistry> {
  const port = await freePort();
  const storage = join(dir, 'registry');
  const config = join(dir, 'registry.yml');
  const host = `127.0.0.1:${port}`;
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${storage}}}\nhttp: {addr: "${host}"}\n`,
  );
  const programs = process.env['BENCH_REGISTRY_PROGRAM']?.split(' ') ?? ['docker-registry', 'registry'];
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    mkdirSync(storage, { recursive: true });
    for (const program of programs) {
      child = spawn(program, ['serve', config], { stdio: 'ignore' });
      const failed = new Promise<false>((resolve) => child?.on('error', () => resolve(false)));
      if (await Promise.race([failed, answers(host)])) return;
    }
    throw new Error('the bench needs the reference registry: install docker-registry');
  };
  await start();
  return {
    host,
    async empty() {
      const ended = new Promise((resolve) => child?.on('exit', resolve));
      child?.kill('SIGKILL');
      await ended;
      rmSync(storage, { recursive: true, force: true });
      await start();
    },
    stop: () => child?.kill('SIGKILL'),
  };
}

async function answers(host: string): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    const ready = await fetch(`http://${host}/v2/`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return true;
    await setTimeout(50);
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.on('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Stands before a registry and counts. */
export interface CountingProxy {
  readonly host: string;
  /** Bytes of bodies since the last call, from and to the registry. */
  take(): { readonly pulled: number; readonly pushed: number };
  stop(): void;
}

export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const [hostname, port] = target.split(':');
  let pulled = 0;
  let pushed = 0;
  const server: Server = createServer((incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    incoming.on('data', (chunk: Buffer) => (pushed += chunk.length));
    const onward = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.on('data', (chunk: Buffer) => (pulled += chunk.length));
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    // A client that has seen enough goes.
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.on('listening', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    take() {
      const counted = { pulled, pushed };
      pulled = pushed = 0;
      return counted;
    },
    stop: () => server.close(),
  };
}
