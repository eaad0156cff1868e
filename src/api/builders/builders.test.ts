import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addBuilder, chooseBuilder, findBuilder, listBuilders, removeBuilder, useBuilder } from './builders.ts';

let home = '';
let env: Record<string, string> = {};
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'builders-'));
  env = { HOME: home, DOCKER_HOST: 'unix:///d.sock' };
});
afterEach(() => rmSync(home, { recursive: true }));

describe('where a build runs', () => {
  const chosen = (
    builder: string | undefined,
    more: Record<string, string> = {},
    platform: NodeJS.Platform = 'linux',
  ) => chooseBuilder(builder, { ...env, ...more }, platform)?.nodes.map(({ url }) => url) ?? 'embedded';

  it.each<[string | undefined, Record<string, string>, NodeJS.Platform, unknown]>([
    [undefined, {}, 'linux', 'embedded'],
    [undefined, { BUILDKIT_HOST: 'tcp://h:1' }, 'linux', 'embedded'],
    [undefined, { SLIPWAY_ENGINE: 'buildkit' }, 'linux', ['docker://']],
    [undefined, { SLIPWAY_ENGINE: 'buildkit', BUILDKIT_HOST: 'tcp://h:1' }, 'linux', ['tcp://h:1']],
    [undefined, {}, 'darwin', ['docker://']],
    [undefined, { BUILDKIT_HOST: 'tcp://h:1' }, 'win32', ['tcp://h:1']],
    [undefined, { SLIPWAY_ENGINE: 'embedded' }, 'darwin', 'embedded'],
    ['unix:///x', { SLIPWAY_ENGINE: 'embedded' }, 'linux', ['unix:///x']],
    ['embedded', { SLIPWAY_ENGINE: 'buildkit' }, 'linux', 'embedded'],
    ['docker', {}, 'linux', ['docker://']],
  ])('%s %j %s', (builder, more, platform, expected) => {
    expect(chosen(builder, more, platform)).toEqual(expected);
  });

  it('is the builder in use, until SLIPWAY_ENGINE says otherwise', () => {
    addBuilder('farm', [{ url: 'tcp://a:1', platforms: [] }], env);
    useBuilder('farm', env);
    expect(chosen(undefined)).toEqual(['tcp://a:1']);
    expect(chosen(undefined, { SLIPWAY_ENGINE: 'embedded' })).toBe('embedded');
    useBuilder('embedded', env);
    expect(chosen(undefined)).toBe('embedded');
  });

  it.each([
    ['nobody', {}, /there is no builder nobody/],
    [undefined, { SLIPWAY_ENGINE: 'docker' }, /SLIPWAY_ENGINE is "docker"/],
  ] as const)('refuses %s %j', (builder, more, message) => {
    expect(() => chosen(builder, more)).toThrow(message);
  });
});

it('builders are added node by node and forgotten', () => {
  addBuilder('farm', [{ url: 'tcp://a:1', platforms: ['linux/amd64'] }], env);
  addBuilder(
    'farm',
    [
      { url: 'tcp://a:1', platforms: [] },
      { url: 'tcp://b:1', platforms: [] },
    ],
    env,
  );
  expect(findBuilder('farm', env).nodes.map(({ name, url }) => `${name} ${url}`)).toEqual([
    'farm0 tcp://a:1',
    'farm1 tcp://b:1',
  ]);
  useBuilder('farm', env);
  removeBuilder('farm', env);
  expect(listBuilders(env).map(({ name }) => name)).toEqual(['docker']);
  expect(chooseBuilder(undefined, env, 'linux')).toBeUndefined();
  for (const name of ['-x', '1x', '../x', 'embedded', 'docker', 'a b']) {
    expect(() => addBuilder(name, [], env)).toThrow(/cannot be called/);
  }
});

it('a damaged file is said, files of buildx that are no use are passed over', () => {
  const instances = join(home, '.docker/buildx/instances');
  mkdirSync(instances, { recursive: true });
  writeFileSync(join(instances, 'broken'), '{');
  writeFileSync(join(instances, 'cloud'), JSON.stringify({ Name: 'cloud', Driver: 'cloud', Nodes: [{ Name: 'c' }] }));
  writeFileSync(
    join(instances, 'far'),
    JSON.stringify({
      Name: 'far',
      Driver: 'remote',
      Nodes: [{ Name: 'f', Endpoint: 'tcp://h:1', Platforms: [{ os: 'linux', architecture: 'arm64' }] }],
    }),
  );
  expect(listBuilders(env)).toMatchObject([
    { name: 'far', from: 'buildx', nodes: [{ url: 'tcp://h:1', platforms: ['linux/arm64'] }] },
    { name: 'docker' },
  ]);
  mkdirSync(join(home, '.config/slipway'), { recursive: true });
  writeFileSync(join(home, '.config/slipway/builders.json'), '{');
  expect(() => listBuilders(env)).toThrow(/builders\.json is damaged/);
  expect(readFileSync(join(home, '.config/slipway/builders.json'), 'utf8')).toBe('{');
});
