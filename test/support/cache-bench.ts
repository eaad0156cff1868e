/** What a test file of build caches stands on: a registry whose requests are counted, and as many empty machines as it wants. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { busyboxLayout } from './base-image.ts';
import { Bench, type CliResult } from './cli.ts';
import { startCountingProxy, type CountingProxy } from './counting-proxy.ts';
import { startRegistry, type TestRegistry } from './registry.ts';
import { started } from './started.ts';

export interface Machine {
  readonly env: Readonly<Record<string, string>>;
  readonly build: (...args: readonly string[]) => Promise<CliResult>;
  readonly run: (...args: readonly string[]) => Promise<CliResult>;
}

export interface CacheBench {
  readonly bench: Bench;
  readonly registry: TestRegistry;
  /** What the builds talk to; it forgets after each test. */
  readonly proxy: CountingProxy;
  /** An empty one. */
  readonly machine: () => Machine;
}

/** Once in a test file: starts all that before its tests and stops it after them. */
export function cacheBench(): CacheBench {
  const bench = new Bench();
  let registry: TestRegistry | undefined;
  let proxy: CountingProxy | undefined;
  let machines = 0;
  beforeAll(async () => {
    registry = await startRegistry(join(bench.dir, 'registry'));
    registry.push(busyboxLayout(bench.dir), 'busybox:latest');
    proxy = await startCountingProxy(registry.host);
  });
  afterEach(() => proxy?.reset());
  afterAll(async () => {
    await proxy?.stop();
    await registry?.stop();
    bench.dispose();
  });
  return {
    bench,
    get registry() {
      return started(registry);
    },
    get proxy() {
      return started(proxy);
    },
    machine: () => {
      const env = {
        SLIPWAY_ROOT: join(bench.dir, `machine-${machines++}`),
        SLIPWAY_MIRRORS: `docker.io=${started(proxy).host}`,
      };
      return {
        env,
        build: async (...args) => await bench.run(['build', '--progress', 'plain', ...args], { env }),
        run: async (...args) => await bench.run(args, { env }),
      };
    },
  };
}

/** Steps that a build ran, in BuildKit's words for them. */
export function ran(log: string): readonly string[] {
  const names = new Map([...log.matchAll(/^#(\d+) (\[.*)$/gm)].map(([, number = '', name = '']) => [number, name]));
  return [...log.matchAll(/^#(\d+) DONE /gm)]
    .map(([, number = '']) => names.get(number) ?? '')
    .filter((name) => /\] (RUN|COPY)/.test(name))
    .map((name) => name.replace(/^\[.*?\] /, ''));
}

/** Two stages; the first one is large. */
export const TWO_STAGES = `FROM busybox AS build
WORKDIR /src
COPY a.txt .
RUN cat a.txt > b.txt && head -c 2000000 /dev/urandom > /big
FROM busybox
COPY --from=build /src/b.txt /b.txt
COPY c.txt /c.txt
`;

/** A context of {@link TWO_STAGES}. */
export const files = (change: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => ({
  Dockerfile: TWO_STAGES,
  'a.txt': 'a\n',
  'c.txt': 'c\n',
  ...change,
});
