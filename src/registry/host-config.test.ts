import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readHostConfig } from './host-config.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-hosts-'));
afterAll(() => rmSync(dir, { recursive: true }));
let homes = 0;

/** A home directory of its own with files below `.config`. */
function home(files: Readonly<Record<string, string>>) {
  const HOME = join(dir, String(homes++));
  for (const [path, text] of Object.entries(files)) {
    const file = join(HOME, '.config', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return { HOME };
}

it('knows nothing where there are no files', async () => {
  expect(await readHostConfig(home({}))).toEqual({ mirrors: new Map(), insecure: [] });
});

it('reads mirrors of registries.conf', async () => {
  const env = home({
    'containers/registries.conf': `
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "hub.example:5000"
insecure = true
[[registry.mirror]]
location = "near.example/hub"
[[registry]]
location = "quay.io"
[[registry]]
prefix = "*.example"
location = "elsewhere.example"
`,
  });
  expect(await readHostConfig(env)).toEqual({
    mirrors: new Map([['docker.io', ['near.example/hub', 'hub.example:5000']]]),
    insecure: ['hub.example:5000'],
  });
});

it("reads containerd's hosts.toml", async () => {
  const env = home({
    'containerd/certs.d/docker.io/hosts.toml': `
server = "https://registry-1.docker.io"
[host."http://10.0.0.1:5000"]
  capabilities = ["pull", "resolve"]
[host."https://push-only.example"]
  capabilities = ["push"]
`,
    'containerd/certs.d/_default/hosts.toml': '[host."https://any.example"]\n',
    'containerd/certs.d/app.example_8443_/hosts.toml': '[host."https://copy.example/v2"]\nskip_verify = true\n',
  });
  expect(await readHostConfig(env)).toEqual({
    mirrors: new Map([
      ['app.example:8443', ['copy.example']],
      ['docker.io', ['http://10.0.0.1:5000']],
    ]),
    insecure: ['copy.example', '10.0.0.1:5000'],
  });
});

it.each([
  ['containers/registries.conf', '[[registry\n'],
  ['containerd/certs.d/docker.io/hosts.toml', 'server = \n'],
])('says which file is broken: %s', async (path, text) => {
  await expect(readHostConfig(home({ [path]: text }))).rejects.toMatchObject({
    code: 'registry',
    message: expect.stringContaining(path) as string,
  });
});
