import { execFileSync } from 'node:child_process';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { dockerdLacks, startDockerd, type Dockerd } from '../support/dockerd.ts';
import { ENGINE_CASES, type EngineCase } from '../support/engine-cases.ts';
import { imageContents } from '../support/image-content.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const lacks = dockerdLacks();
const bench = new Bench();
let registry: TestRegistry;
let dockerd: Dockerd;

beforeAll(async () => {
  if (lacks !== undefined) return;
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  dockerd = await startDockerd(join(bench.dir, 'dockerd'));
});
afterAll(async () => {
  if (lacks === undefined) {
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

const title = 'both engines give the same image';
describe.skipIf(lacks !== undefined)(lacks === undefined ? title : `${title} (this machine lacks ${lacks})`, () => {
  it.each(ENGINE_CASES.map((engineCase, i) => [engineCase.name, engineCase, i] as const))(
    '%s',
    async (_name, engineCase, i) => {
      const context = contextOf(engineCase, `case-${i}`);
      const build = async (engine: string) => {
        const layout = join(bench.dir, `layout-${i}-${engine}`);
        const args = ['build', '--builder', engine === 'embedded' ? engine : 'docker://', '--network', 'host'];
        const result = await bench.run(
          [
            ...args,
            '-f',
            `case-${i}.Dockerfile`,
            '-o',
            `type=oci,tar=false,dest=${layout}`,
            ...(engineCase.args ?? []),
            context,
          ],
          { env: { DOCKER_HOST: dockerd.host, ...engineCase.env } },
        );
        expect(result.code, result.stderr).toBe(0);
        return await imageContents(layout);
      };
      const embedded = await build('embedded');
      const buildkit = await build('buildkit');
      expect(buildkit).toEqual(embedded);
      expect(embedded).toHaveLength(1);
    },
  );
});
