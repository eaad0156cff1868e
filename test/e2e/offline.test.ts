/** `--offline`: what the store has is enough, what it lacks is named, and nobody is asked. */
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { freePort, startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
let files: Server;
let asked = 0;
let url = '';
let base = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  base = `${registry.host}/library/busybox`;
  const port = await freePort();
  files = createServer((_, response) => {
    asked++;
    response.end('content');
  }).listen(port, '127.0.0.1');
  url = `http://127.0.0.1:${port}/file.txt`;
});
afterAll(async () => {
  files.close();
  await registry.stop();
  bench.dispose();
});

const context = (name: string, dockerfile: string): string => bench.context(name, { Dockerfile: dockerfile });

it('builds from what was pulled or built before, without asking', async () => {
  const project = context('known', `FROM ${base}\nADD ${url} /f\nRUN cat /f > /g\n`);
  expect(await bench.run(['build', project])).toMatchObject({ code: 0 });
  const before = asked;
  expect(await bench.run(['build', '--offline', '--no-cache', '-t', 'again', project])).toMatchObject({ code: 0 });
  expect(asked).toBe(before);
  const env = { SLIPWAY_ROOT: join(bench.dir, 'state-pulled') };
  expect(await bench.run(['pull', '-q', base], { env })).toMatchObject({ code: 0 });
  const other = context('pulled', `FROM ${base}\nRUN echo 1 > /one\n`);
  expect(await bench.run(['build', '--offline', other], { env })).toMatchObject({ code: 0 });
});

it('names what is missing, at its line', async () => {
  const env = { SLIPWAY_ROOT: join(bench.dir, 'state-empty') };
  const rows = [
    [`FROM ${base}\n`, `${base}:latest is not in the local store`],
    [`FROM ${base}@sha256:${'0'.repeat(64)}\n`, `${base}@sha256:000`],
    [`FROM scratch\nADD ${url} /f\n`, url],
    ['FROM scratch\nADD https://git.invalid/x.git#main /x\n', 'git.invalid/x.git#main'],
  ] as const;
  for (const [i, [dockerfile, said]] of rows.entries()) {
    const result = await bench.run(['build', '--offline', '-t', 'x', context(`missing-${i}`, dockerfile)], { env });
    expect(result).toMatchObject({ code: 4, stderr: expect.stringContaining(said) as string });
    expect(result.stderr).toContain('--offline asks nobody');
    expect(result.stderr).toContain('Dockerfile:');
  }
});

it('names the image of layers that were never pulled', async () => {
  const env = { SLIPWAY_ROOT: join(bench.dir, 'state-lazy') };
  // Its manifest is enough for this.
  const lazy = context('lazy', `FROM ${base}\nENV A=b\n`);
  expect(await bench.run(['build', '-t', 'lazy', lazy], { env })).toMatchObject({ code: 0 });
  expect(await bench.run(['build', '--offline', '-t', 'lazy', lazy], { env })).toMatchObject({ code: 0 });
  const run = context('needs', `FROM ${base}\nRUN true\n`);
  const result = await bench.run(['build', '--offline', run], { env });
  expect(result).toMatchObject({ code: 4, stderr: expect.stringContaining(`slipway pull ${base}`) as string });
});

it.each([
  [['--pull'], 'leave one of them out'],
  [['--push', '-t', 'localhost:1/x'], 'pushes nothing'],
])('does not go with %j', async (flags, said) => {
  const result = await bench.run(['build', '--offline', ...flags, context('flags', 'FROM scratch\n')]);
  expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining(said) as string });
});
