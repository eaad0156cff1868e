import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

// bcrypt of `s3cret`.
const USERS = 'alice:$2b$12$mhwVmKL931UgNjzACT7KFu6wb6MpQy6BSGNZTwj/pL/mEgEXcSexe\n';

const bench = new Bench();
let registry: TestRegistry;
let config = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'), USERS);
  config = join(bench.env['DOCKER_CONFIG'] ?? '', 'config.json');
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

const loginAs = (password: string, env = {}) =>
  bench.run(['login', '-u', 'alice', '--password-stdin', registry.host], { stdin: `${password}\n`, env });

it('refuses a wrong password and saves nothing', async () => {
  const result = await loginAs('wrong');
  expect(result.code).toBe(4);
  expect(result.stderr).toContain(registry.host);
  expect(() => statSync(config)).toThrow();
});

it('logs in, pushes with it, and logs out', async () => {
  mkdirSync(join(config, '..'), { recursive: true });
  writeFileSync(config, JSON.stringify({ auths: { 'other.example': { auth: 'eDp5' } }, HttpHeaders: { a: 'b' } }));
  const context = bench.context('push', { Dockerfile: 'FROM scratch\nLABEL a=b\n' });
  const push = () => bench.run(['build', '-o', `type=image,name=${registry.host}/team/app,push=true`, context]);
  expect(await push()).toMatchObject({ code: 4 });

  expect(await loginAs('s3cret')).toMatchObject({ code: 0 });
  const saved = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
  expect(saved).toEqual({
    auths: {
      'other.example': { auth: 'eDp5' },
      [registry.host]: { auth: Buffer.from('alice:s3cret').toString('base64') },
    },
    HttpHeaders: { a: 'b' },
  });
  expect(statSync(config).mode & 0o777).toBe(0o600);
  expect(await push()).toMatchObject({ code: 0 });

  expect(await bench.run(['logout', registry.host])).toMatchObject({ code: 0 });
  expect(readFileSync(config, 'utf8')).not.toContain(registry.host);
  expect(readFileSync(config, 'utf8')).toContain('other.example');
  expect((await bench.run(['logout', registry.host])).stdout).toContain('Not logged in');
});

it('keeps the password in a helper where the configuration names one', async () => {
  const bin = join(bench.dir, 'bin');
  mkdirSync(bin, { recursive: true });
  const store = join(bench.dir, 'kept.json');
  writeFileSync(
    join(bin, 'docker-credential-test'),
    `#!/bin/sh\ncase $1 in store) cat > ${store};; get) cat >/dev/null; cat ${store};; erase) rm ${store};; esac\n`,
  );
  chmodSync(join(bin, 'docker-credential-test'), 0o755);
  writeFileSync(config, JSON.stringify({ credsStore: 'test' }));
  const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  expect(await loginAs('s3cret', env)).toMatchObject({ code: 0 });
  expect(JSON.parse(readFileSync(store, 'utf8'))).toEqual({
    ServerURL: registry.host,
    Username: 'alice',
    Secret: 's3cret',
  });
  expect(readFileSync(config, 'utf8')).toBe(JSON.stringify({ credsStore: 'test' }));
});
