import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxLayout, writeLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { freePort, startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
let files: Server;
let url = '';
let content = 'one';
let context = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  bench.env['SLIPWAY_MIRRORS'] = `docker.io=${registry.host}`;
  const port = await freePort();
  files = createServer((_, response) => response.end(content)).listen(port, '127.0.0.1');
  url = `http://127.0.0.1:${port}/file.txt`;
  context = bench.context('app', { Dockerfile: `FROM busybox\nADD ${url} /file.txt\nRUN cat /file.txt\n` });
});
afterAll(async () => {
  files.close();
  await registry.stop();
  bench.dispose();
});

const lockFile = () =>
  JSON.parse(readFileSync(join(context, 'slipway.lock'), 'utf8')) as Record<'images' | 'urls', Record<string, string>>;

it('refuses to build frozen without a lock', async () => {
  const result = await bench.run(['build', '--frozen', context]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('slipway lock');
});

it('pins images and URLs, and says so', async () => {
  const result = await bench.run(['lock', context]);
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toMatch(/^\+ docker\.io\/library\/busybox:latest sha256:/m);
  expect(Object.keys(lockFile().urls)).toEqual([url]);
  expect((await bench.run(['lock', context])).stdout).toContain('up to date');
  expect((await bench.run(['build', '--frozen', context])).code).toBe(0);
});

it('builds what is locked though the tag has moved, and refuses a URL whose content has', async () => {
  const before = lockFile();
  registry.push(`${writeLayout(join(bench.dir, 'other'), [], { Env: ['A=b'] })}:latest`, 'busybox:latest');
  const env = { SLIPWAY_ROOT: join(bench.dir, 'fresh') };
  expect((await bench.run(['build', '--frozen', context], { env })).code).toBe(0);

  content = 'two';
  const changed = await bench.run(['build', '--frozen', context], { env: { SLIPWAY_ROOT: join(bench.dir, 'fresh2') } });
  expect(changed.code).toBe(4);
  expect(changed.stderr).toContain(url);

  const dry = await bench.run(['lock', '--update', '--dry-run', context]);
  expect(dry.code).toBe(1);
  expect(dry.stdout).toMatch(/^~ docker\.io\/library\/busybox:latest sha256:\w+ -> sha256:/m);
  expect(lockFile()).toEqual(before);
});

it('refuses what is not in the lock', async () => {
  writeFileSync(join(context, 'Dockerfile'), 'FROM alpine:3\nRUN true\n');
  const result = await bench.run(['build', '--frozen', context]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('does not pin docker.io/library/alpine:3');
  expect(result.stderr).toContain('Dockerfile:1');
});

it('says that a lock is damaged', async () => {
  writeFileSync(join(context, 'slipway.lock'), '{"version":1,"images":{"a":"latest"}}');
  const result = await bench.run(['build', '--frozen', context]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('damaged');
});
