import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findCredentials } from './credentials.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-credentials-'));
afterAll(() => rmSync(dir, { recursive: true }));

const auth = (text: string): string => Buffer.from(text).toString('base64');

function configured(config: unknown, env: Record<string, string> = {}): Record<string, string> {
  const home = mkdtempSync(join(dir, 'config-'));
  writeFileSync(join(home, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  return { DOCKER_CONFIG: home, PATH: `${dir}:${process.env['PATH'] ?? ''}`, ...env };
}

function helper(name: string, script: string): void {
  writeFileSync(join(dir, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

const alice = { kind: 'password', username: 'alice', password: 's:cret' };

describe('auths', () => {
  it.each([
    ['docker.io', 'library/x', { 'https://index.docker.io/v1/': { auth: auth('alice:s:cret') } }, alice],
    ['docker.io', 'library/x', { 'docker.io': { auth: auth('alice:s:cret') } }, alice],
    ['ghcr.io', 'a/b', { 'ghcr.io': { auth: auth('alice:s:cret\0\0') } }, alice],
    ['ghcr.io', 'a/b', { 'https://ghcr.io/v2/': { auth: auth('alice:s:cret') } }, alice],
    [
      'ghcr.io',
      'a/b',
      { 'ghcr.io/a': { username: 'alice', password: 's:cret' }, 'ghcr.io': { auth: auth('b:c') } },
      alice,
    ],
    ['ghcr.io', 'a/b', { 'ghcr.io': { identitytoken: 't' } }, { kind: 'identity-token', token: 't' }],
    ['ghcr.io', 'a/b', { 'ghcr.io': {} }, undefined],
    ['ghcr.io', 'a/b', { 'ghcr.io.example': { auth: auth('a:b') } }, undefined],
    ['ghcr.io', 'ab/c', { 'ghcr.io/a': { auth: auth('a:b') } }, undefined],
    ['localhost:5000', 'x', { 'localhost:5000': { auth: auth('alice:s:cret') } }, alice],
    ['localhost:5000', 'x', { localhost: { auth: auth('a:b') } }, undefined],
  ])('%s/%s in %j', async (host, path, auths, expected) => {
    expect(await findCredentials(host, path, configured({ auths }))).toEqual(expected);
  });

  it('asks REGISTRY_AUTH_FILE first, and Docker next', async () => {
    const file = join(dir, 'auth.json');
    writeFileSync(file, JSON.stringify({ auths: { 'quay.io': { auth: auth('alice:s:cret') } } }));
    const env = configured({ auths: { 'quay.io': { auth: auth('b:c') }, 'ghcr.io': { auth: auth('b:c') } } });
    const both = { ...env, REGISTRY_AUTH_FILE: file };
    expect(await findCredentials('quay.io', 'x', both)).toEqual(alice);
    expect(await findCredentials('ghcr.io', 'x', both)).toMatchObject({ username: 'b' });
  });

  it('has none where there is no file', async () => {
    expect(await findCredentials('ghcr.io', 'x', { HOME: join(dir, 'nowhere') })).toBeUndefined();
  });

  it('names a broken file without quoting it', async () => {
    const env = configured('{"auths": {"ghcr.io": {"auth": "c2VjcmV0"');
    const error: unknown = await findCredentials('ghcr.io', 'x', env).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'auth', message: expect.stringContaining('config.json') as string });
    expect(JSON.stringify(error)).not.toContain('c2VjcmV0');
  });
});

describe('helpers', () => {
  it('are told the server and answer with a password', async () => {
    helper('echo', 'read server; echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"$1\\"}"');
    const env = configured({ credHelpers: { 'ghcr.io': 'echo' } });
    expect(await findCredentials('ghcr.io', 'x', env)).toEqual({
      kind: 'password',
      username: 'ghcr.io',
      password: 'get',
    });
    const store = configured({ credsStore: 'echo' });
    expect(await findCredentials('docker.io', 'x', store)).toMatchObject({ username: 'https://index.docker.io/v1/' });
  });

  it('may answer with a token, or have nothing', async () => {
    helper('token', 'echo \'{"Username":"<token>","Secret":"t"}\'');
    expect(await findCredentials('a.io', 'x', configured({ credsStore: 'token' }))).toEqual({
      kind: 'identity-token',
      token: 't',
    });
    helper('empty', 'echo "credentials not found in native keychain"; exit 1');
    expect(await findCredentials('a.io', 'x', configured({ credsStore: 'empty' }))).toBeUndefined();
  });

  it.each([
    ['missing', '', 'is not installed'],
    ['broken', 'exit 3', 'exit code 3'],
    ['garbage', 'echo hello', 'not JSON'],
    ['../evil', '', 'no valid name'],
  ])('%s', async (name, script, message) => {
    if (script !== '') helper(name, script);
    await expect(findCredentials('a.io', 'x', configured({ credsStore: name }))).rejects.toMatchObject({
      code: 'auth',
      message: expect.stringContaining(message) as string,
    });
  });
});
