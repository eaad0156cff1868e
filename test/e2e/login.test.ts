import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench, SLIPWAY } from '../support/cli.ts';
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

describe('at a terminal', () => {
  const emptyConfig = (): void => {
    mkdirSync(join(config, '..'), { recursive: true });
    writeFileSync(config, '{}');
  };

  /** Types each answer when its question is there. @returns All that the terminal showed. */
  async function atTerminal(args: readonly string[], answers: readonly (readonly [string, string])[]) {
    const line = [process.execPath, SLIPWAY, 'login', ...args, registry.host].map((word) => `'${word}'`).join(' ');
    const env = { ...process.env, HOME: bench.dir, ...bench.env };
    const child = spawn('script', ['-qec', line, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let shown = '';
    const left = [...answers];
    child.stdout.on('data', (data: Buffer) => {
      shown += data.toString();
      const [next] = left;
      if (next === undefined || !shown.includes(next[0])) return;
      left.shift();
      child.stdin.write(next[1]);
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, shown };
  }

  it.each([
    [
      'name and password',
      [],
      [
        ['Username: ', 'alice\r'],
        ['Password: ', 's3cret\r'],
      ],
    ],
    ['what is typed at once', [], [['Username: ', 'alice\rs3cret\r']]],
    [
      'typing errors',
      [],
      [
        ['Username: ', 'alicia\u007f\u007fe\r'],
        ['Password: ', 'no\u0015s3cret\r'],
      ],
    ],
    ['the password alone', ['-u', 'alice'], [['Password: ', 's3cret\r']]],
  ] as const)('asks for %s, and shows no password', async (_, args, answers) => {
    emptyConfig();
    const { code, shown } = await atTerminal(args, answers);
    expect(code, shown).toBe(0);
    expect(shown).toContain(`Login succeeded: alice at ${registry.host}`);
    expect(shown).not.toContain('s3cret');
    expect(readFileSync(config, 'utf8')).toContain(Buffer.from('alice:s3cret').toString('base64'));
  });

  it('is left with Ctrl-C, and nothing is saved', async () => {
    emptyConfig();
    const { code, shown } = await atTerminal(
      [],
      [
        ['Username: ', 'alice\r'],
        ['Password: ', 's3\u0003'],
      ],
    );
    expect(code, shown).not.toBe(0);
    expect(shown).not.toContain('s3');
    expect(readFileSync(config, 'utf8')).toBe('{}');
  });

  it('is what is needed, where a name or a password lacks', async () => {
    const rows: readonly (readonly [readonly string[], string, string])[] = [
      [[], '', '--username'],
      [['-u', 'alice'], '', '--password-stdin'],
      [['-u', 'alice', '--password-stdin'], '', '--password-stdin'],
      [['-u', 'alice', '-p', 'x', '--password-stdin'], 'x', 'not both'],
    ];
    for (const [args, stdin, says] of rows) {
      const result = await bench.run(['login', ...args, registry.host], { stdin });
      expect(result.code, result.stderr).toBe(2);
      expect(result.stderr).toContain(says);
    }
  });
});
