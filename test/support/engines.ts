/** Both engines, for tables of builds that must come out the same on either. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import type { Bench, CliResult } from './cli.ts';
import { dockerdLacks, startDockerd, type Dockerd } from './dockerd.ts';
import { started } from './started.ts';

export interface TestEngine {
  readonly name: 'embedded' | 'buildkit';
  /** `slipway build` with these words. */
  build(words: readonly string[], options?: BuildOptions): Promise<CliResult>;
  /** The same, with its standard output as it is. */
  buildBytes(words: readonly string[], options?: BuildOptions): ReturnType<Bench['runBytes']>;
  /** Names in the store of images. */
  images(): Promise<readonly string[]>;
}

type BuildOptions = Parameters<Bench['run']>[1] & {
  /** Without a word of the network: none of the steps that run has the default one, which the daemon lacks. */
  readonly plainNetwork?: boolean;
};

/** Defines the tests once for this process and once for the BuildKit of a dockerd of their own. */
export function onBothEngines(bench: Bench, tests: (engine: TestEngine) => void): void {
  const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');
  const format = ['images', '--format', '{{.Repository}}:{{.Tag}}'];

  describe('on the embedded engine', () => {
    tests({
      name: 'embedded',
      build: async (words, options) => await bench.run(['build', ...words], options),
      buildBytes: async (words, options) => await bench.runBytes(['build', ...words], options),
      images: async () => lines((await bench.run(format)).stdout),
    });
  });

  const lacks = dockerdLacks();
  const title = lacks === undefined ? 'on BuildKit' : `on BuildKit (this machine lacks ${lacks})`;
  describe.skipIf(lacks !== undefined)(title, () => {
    let dockerd: Dockerd | undefined;
    beforeAll(async () => {
      dockerd = await startDockerd(join(bench.dir, 'dockerd'));
    });
    afterAll(async () => await dockerd?.stop());
    // Its steps have no network but this machine's.
    const all = (words: readonly string[], options: BuildOptions = {}): readonly string[] => [
      ...['build', '--builder', `docker://${started(dockerd).host}`],
      ...(options.plainNetwork === true ? [] : ['--network', 'host']),
      ...words,
    ];
    tests({
      name: 'buildkit',
      build: async (words, options) => await bench.run(all(words, options), options),
      buildBytes: async (words, options) => await bench.runBytes(all(words, options), options),
      images: async () => await Promise.resolve(lines(started(dockerd).docker(...format))),
    });
  });
}
