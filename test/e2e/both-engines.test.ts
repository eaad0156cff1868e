import { execFileSync } from 'node:child_process';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { buildkitPath, startBuildkitd, type Buildkitd } from '../support/buildkitd.ts';
import { dockerdLacks, startDockerd, type Dockerd } from '../support/dockerd.ts';
import { ENGINE_CASES, type EngineCase } from '../support/engine-cases.ts';
import { MISTAKES } from '../support/mistakes.ts';
import { imageContents } from '../support/image-content.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const lacks = dockerdLacks();
const bench = new Bench();
/** Where one is: the same again by TLS. */
const hasBuildkitd = buildkitPath() !== undefined;
let registry: TestRegistry;
let dockerd: Dockerd;
let buildkitd: Buildkitd | undefined;

beforeAll(async () => {
  if (lacks !== undefined) return;
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  dockerd = await startDockerd(join(bench.dir, 'dockerd'));
  if (hasBuildkitd) buildkitd = await startBuildkitd(join(bench.dir, 'buildkitd'));
});
afterAll(async () => {
  if (lacks === undefined) {
    await buildkitd?.stop();
    await dockerd.stop();
    await registry.stop();
  }
  bench.dispose();
});

/** The context of a case, all of it a day old so that times can be compared. */
function contextOf({ dockerfile, files = {}, prepare }: EngineCase, name: string): string {
  const context = bench.context(name, files);
  writeFileSync(
    join(bench.dir, `${name}.Dockerfile`),
    dockerfile.replaceAll('BASE', `${registry.host}/library/busybox`),
  );
  if (prepare !== undefined) execFileSync('sh', ['-c', prepare], { cwd: context });
  const day = new Date(Math.floor(Date.now() / 1000) * 1000 - 86_400_000);
  for (const path of execFileSync('find', ['.', '-type', 'f', '-print0'], { cwd: context, encoding: 'utf8' }).split(
    '\0',
  )) {
    if (path !== '') utimesSync(join(context, path), day, day);
  }
  return context;
}

const PLATFORM = `linux/${process.arch === 'arm64' ? 'arm64' : 'amd64'}`;
const title = 'both engines give the same image';
describe.skipIf(lacks !== undefined)(lacks === undefined ? title : `${title} (this machine lacks ${lacks})`, () => {
  it.each(ENGINE_CASES.map((engineCase, i) => [engineCase.name, engineCase, i] as const))(
    '%s',
    async (_name, engineCase, i) => {
      const context = contextOf(engineCase, `case-${i}`);
      const build = async (engine: string, builder: string) => {
        const layout = join(bench.dir, `layout-${i}-${engine}`);
        const args = ['build', '--builder', builder, '--network', 'host'];
        const result = await bench.run(
          [
            ...args,
            '-f',
            `case-${i}.Dockerfile`,
            '-o',
            `type=oci,tar=false,dest=${layout}`,
            ...(engineCase.args ?? []).map((word) => word.replaceAll('BENCH', bench.dir)),
            context,
          ],
          { env: { DOCKER_HOST: dockerd.host, ...engineCase.env } },
        );
        expect(result.code, result.stderr).toBe(0);
        return await imageContents(layout);
      };
      const embedded = await build('embedded', 'embedded');
      expect(await build('docker', 'docker://')).toEqual(embedded);
      if (buildkitd !== undefined) expect(await build('buildkitd', buildkitd.port)).toEqual(embedded);
      expect(embedded.map(({ platform }) => platform)).toEqual(engineCase.platforms ?? [PLATFORM]);
    },
  );
});

const mistakes = 'both engines say what is wrong';
describe.skipIf(lacks !== undefined)(
  lacks === undefined ? mistakes : `${mistakes} (this machine lacks ${lacks})`,
  () => {
    it.each(MISTAKES)('$name', async ({ name, files, args = [], code = 1, says }) => {
      const context = bench.context(`mistake-${name.replaceAll(' ', '-')}`, files);
      const busybox = `busybox=oci-layout://${join(bench.dir, 'busybox-layout')}:latest`;
      const words = ['--builder', 'docker://', '--network', 'host', '--build-context', busybox];
      const result = await bench.run(['build', ...words, ...args, context], { env: { DOCKER_HOST: dockerd.host } });
      expect(result.code, result.stderr).toBe(code);
      for (const text of says) expect(result.stderr).toMatch(text);
      expect(result.stderr.match(/^error: /gm)).toHaveLength(1);
      expect(result.stderr).not.toMatch(/\n\s+at .*\.[jt]s/);
    });
  },
);
