/** What a test file of the BuildKit engine stands on: a bench, a registry with a base image, and a dockerd. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { busyboxLayout } from './base-image.ts';
import { Bench, type CliResult } from './cli.ts';
import { dockerdLacks, startDockerd, type Dockerd, type DockerRelease } from './dockerd.ts';
import { startRegistry, type TestRegistry } from './registry.ts';
import { started } from './started.ts';

export interface BuildkitBench {
  readonly bench: Bench;
  /** What DOCKER_HOST names. From the first hook on, as the rest. */
  readonly dockerd: Dockerd;
  readonly registry: TestRegistry;
  /** Busybox in the registry. */
  readonly base: string;
  readonly build: (
    words: readonly string[],
    env?: Readonly<Record<string, string>>,
    stdin?: Uint8Array | string,
  ) => Promise<CliResult>;
}

const lacks = dockerdLacks();

/** Once in a test file: starts all that before its tests and stops it after them. */
export function buildkitBench(release: DockerRelease = 'sid'): BuildkitBench {
  const bench = new Bench();
  bench.env['SLIPWAY_CONFIG'] = join(bench.dir, 'config');
  let registry: TestRegistry | undefined;
  let dockerd: Dockerd | undefined;
  beforeAll(async () => {
    if (lacks !== undefined) return;
    registry = await startRegistry(join(bench.dir, 'registry'));
    registry.push(busyboxLayout(bench.dir), 'busybox:latest');
    dockerd = await startDockerd(join(bench.dir, 'dockerd'), release);
    bench.env['DOCKER_HOST'] = dockerd.host;
  });
  afterAll(async () => {
    await dockerd?.stop();
    await registry?.stop();
    bench.dispose();
  });
  return {
    bench,
    get dockerd() {
      return started(dockerd);
    },
    get registry() {
      return started(registry);
    },
    get base() {
      return `${started(registry).host}/library/busybox`;
    },
    build: async (words, env = {}, stdin) =>
      await bench.run(['build', '--network', 'host', '--progress', 'plain', ...words], {
        env,
        ...(stdin !== undefined && { stdin }),
      }),
  };
}

/** A `describe` of tests that need a daemon of containers; where the kernel has none of that, it says what is missing. */
export function withDaemon(name: string, tests: () => void): void {
  describe.skipIf(lacks !== undefined)(lacks === undefined ? name : `${name} (this machine lacks ${lacks})`, tests);
}
