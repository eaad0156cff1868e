/** A registry of Debian with TLS and logins: certificates, credentials, and what is said when either is wrong. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

// bcrypt of `s3cret`.
const USERS = 'alice:$2b$12$mhwVmKL931UgNjzACT7KFu6wb6MpQy6BSGNZTwj/pL/mEgEXcSexe\n';

const bench = new Bench();
const dir = join(bench.dir, 'pki');
const open: TestRegistry[] = [];
let context = '';
const openssl = (...args: readonly string[]): void => {
  execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
};

beforeAll(() => {
  mkdirSync(dir);
  context = bench.context('app', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  for (const ca of ['ca', 'other'])
    openssl('req', '-x509', ...key, '-days', '2', '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-subj', `/CN=${ca}`);
  writeFileSync(
    join(dir, 'ca.cnf'),
    '[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[san]\nsubjectAltName=IP:127.0.0.1\n',
  );
  writeFileSync(join(dir, 'index.txt'), '');
  writeFileSync(join(dir, 'serial'), '01\n');
  const times = {
    good: ['20200101000000Z', '20491231000000Z'],
    expired: ['20200101000000Z', '20200201000000Z'],
    early: ['20480101000000Z', '20491231000000Z'],
  };
  for (const [name, [from = '', to = '']] of Object.entries(times)) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=registry');
    const signer = ['-config', 'ca.cnf', '-batch', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-extensions', 'san'];
    openssl('ca', ...signer, '-startdate', from, '-enddate', to, '-in', `${name}.csr`, '-out', `${name}.pem`);
  }
});
afterEach(async () => {
  for (const registry of open.splice(0)) await registry.stop();
});
afterAll(() => bench.dispose());

async function start(certificate: string, authority: string): Promise<TestRegistry> {
  const files = { certificate: join(dir, `${certificate}.pem`), key: join(dir, `${certificate}.key`) };
  const registry = await startRegistry(join(bench.dir, `registry-${open.length}-${certificate}`), USERS, files);
  open.push(registry);
  // An authority for a host makes even one on loopback show a certificate of it.
  const certs = join(bench.dir, '.config/docker/certs.d', registry.host);
  mkdirSync(certs, { recursive: true });
  copyFileSync(join(dir, `${authority}.pem`), join(certs, 'ca.crt'));
  return registry;
}

const push = async (host: string) => await bench.run(['build', '--push', '-t', `${host}/team/app:1`, context]);

it('takes pushes and pulls of who is logged in, and says where it looked for the login of who is not', async () => {
  const { host } = await start('good', 'ca');
  const refused = await push(host);
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain(`there are none for it in ${join(bench.env['DOCKER_CONFIG'] ?? '', 'config.json')}`);
  expect(refused.stderr).toContain(`slipway login ${host}`);

  const login = ['login', '-u', 'alice', '--password-stdin', host];
  expect(await bench.run(login, { stdin: 's3cret\n' })).toMatchObject({ code: 0 });
  const pushed = await push(host);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const inspect = ['inspect', '--cert-dir', join(bench.dir, '.config/docker/certs.d', host), '--creds', 'alice:s3cret'];
  expect(execFileSync('skopeo', [...inspect, `docker://${host}/team/app:1`], { encoding: 'utf8' })).toContain('linux');
  const env = { SLIPWAY_ROOT: join(bench.dir, 'fresh') };
  expect(await bench.run(['pull', '-q', `${host}/team/app:1`], { env })).toMatchObject({ code: 0 });

  const config = join(bench.env['DOCKER_CONFIG'] ?? '', 'config.json');
  const wrong = readFileSync(config, 'utf8').replace(/"auth": *"[^"]+"/, `"auth": "${btoa('alice:wrong')}"`);
  writeFileSync(config, wrong);
  const denied = await bench.run(['pull', `${host}/team/app:1`]);
  expect(denied.code).toBe(4);
  expect(denied.stderr).toContain('with the credentials it was given');
  expect(denied.stderr).toContain(config);
  expect(denied.stderr).not.toContain('wrong');
  rmSync(config);
});

it.each([
  ['good', 'other', /its certificate is not trusted \(\w+\)/, 'certs.d'],
  ['expired', 'ca', /its certificate has expired/, 'by the clock of this machine it is 20'],
  ['early', 'ca', /its certificate is not valid yet/, 'by the clock of this machine it is 20'],
])('with a certificate that is %s, of an authority known as %s', async (certificate, authority, message, hint) => {
  const { host } = await start(certificate, authority);
  const result = await push(host);
  expect(result.code).toBe(4);
  expect(result.stderr).toMatch(message);
  expect(result.stderr).toContain(hint);
});
