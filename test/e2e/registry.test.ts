import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

it('takes Docker Hub names from a mirror, set by flag or by environment', async () => {
  const context = bench.context('mirror', { Dockerfile: 'FROM busybox\nRUN echo mirrored > /m\n' });
  const byFlag = await bench.run(['build', '--mirror', `docker.io=${registry.host}`, '-t', 'mirrored', context]);
  expect(byFlag).toMatchObject({ code: 0 });
  expect((await bench.run(['run', 'mirrored', 'cat', '/m'])).stdout).toBe('mirrored\n');
  // Nor does Node say anything, of what it holds to be experimental.
  const env = { SLIPWAY_MIRRORS: `docker.io=${registry.host}`, SLIPWAY_ROOT: join(bench.dir, 'state-quiet') };
  expect(await bench.run(['build', '-q', context], { env })).toMatchObject({ code: 0, stderr: '' });
  const byEnv = await bench.run(['build', '-t', 'mirrored2', context], {
    env: { SLIPWAY_MIRRORS: `docker.io=${registry.host}`, SLIPWAY_ROOT: join(bench.dir, 'state-env') },
  });
  expect(byEnv).toMatchObject({ code: 0 });
});

it('pushes an image, pulls it by its name, and copies one file from it', async () => {
  const context = bench.context('push', { Dockerfile: 'FROM busybox\nRUN echo pushed > /file\n' });
  const name = `${registry.host}/team/app:1`;
  const pushed = await bench.run([
    'build',
    '--mirror',
    `docker.io=${registry.host}`,
    '-o',
    `type=image,name=${name},push=true`,
    context,
  ]);
  expect(pushed).toMatchObject({ code: 0 });
  const config = execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${name}`], { encoding: 'utf8' });
  expect(JSON.parse(config)).toMatchObject({
    Layers: expect.arrayContaining([expect.stringContaining('sha256:')]) as unknown,
  });
  const copy = bench.context('pull', { Dockerfile: `FROM scratch\nCOPY --from=${name} /file /file\n` });
  const out = join(bench.dir, 'pulled');
  const pulled = await bench.run(['build', '-o', out, copy], { env: { SLIPWAY_ROOT: join(bench.dir, 'state-pull') } });
  expect(pulled).toMatchObject({ code: 0 });
  expect(execFileSync('cat', [join(out, 'file')], { encoding: 'utf8' })).toBe('pushed\n');
});

it('builds from what it knows when the registry is gone', async () => {
  const other = await startRegistry(join(bench.dir, 'registry-2'));
  other.push(`${join(bench.dir, 'busybox-layout')}:latest`, 'busybox:latest');
  const env = { SLIPWAY_ROOT: join(bench.dir, 'state-gone'), SLIPWAY_MIRRORS: `docker.io=${other.host}` };
  const context = bench.context('gone', { Dockerfile: 'FROM busybox\nRUN echo 1 > /one\n' });
  expect((await bench.run(['build', '-t', 'gone', context], { env })).code).toBe(0);
  await other.stop();
  expect((await bench.run(['build', '-t', 'gone', context], { env })).code).toBe(0);
});

it('says which image is missing, and what the registry answered', async () => {
  const context = bench.context('missing', { Dockerfile: `FROM ${registry.host}/no/such:image\n` });
  const result = await bench.run(['build', context]);
  expect(result.code).toBe(4);
  expect(result.stderr).toContain(`${registry.host}/no/such:image`);
  expect(result.stderr).toContain('Dockerfile:1');
});

it('says that a registry is down', async () => {
  const context = bench.context('down', { Dockerfile: 'FROM 127.0.0.1:9/down:1\n' });
  const result = await bench.run(['build', context]);
  expect(result.code).toBe(4);
  expect(result.stderr).toMatch(/error: .*127\.0\.0\.1:9/);
});
