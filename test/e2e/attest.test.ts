import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxLayout, readLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const CANARY = 'canary-8d21f04b6e';
const APK = 'P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\n\n';

const bench = new Bench();
let base = '';
let context = '';
let registry: TestRegistry;
beforeAll(async () => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
  context = bench.context('app', {
    Dockerfile: `FROM busybox AS build
ARG TOKEN
RUN --mount=type=secret,id=token mkdir -p /lib/apk/db && cat /run/secrets/token > /dev/null && echo build
FROM busybox
COPY installed /lib/apk/db/installed
COPY --from=build /bin/busybox /app
COPY package.json /srv/node_modules/left/package.json
LABEL note=${CANARY.slice(0, 3)}
`,
    installed: APK,
    'package.json': '{"name":"left","version":"1.0.0","license":"MIT"}',
  });
  registry = await startRegistry(join(bench.dir, 'registry'));
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

const SECRET = ['--secret', 'id=token,env=SECRET_VALUE', '--build-arg', `TOKEN=${CANARY}`];
const build = async (...args: readonly string[]) =>
  await bench.run(['build', '--build-context', base, ...SECRET, ...args, context], { env: { SECRET_VALUE: CANARY } });
const show = async (image: string, ...args: readonly string[]) =>
  JSON.parse((await bench.run(['attest', 'show', image, ...args])).stdout) as unknown;

it('says from what an image was built and what is in it, and no secret', async () => {
  const layout = join(bench.dir, 'layout');
  const output = `type=oci,tar=false,dest=${layout}`;
  const built = await build('--provenance', '--sbom', '-t', 'said', '-o', output);
  expect(built, built.stderr).toMatchObject({ code: 0 });

  expect(await show('said', '--type', 'provenance')).toMatchObject({
    buildDefinition: {
      externalParameters: {
        request: {
          args: { 'build-arg:TOKEN': '*****' },
          secrets: [{ id: 'token' }],
          locals: [{ name: 'context' }],
        },
      },
      resolvedDependencies: [
        {
          uri: expect.stringContaining('pkg:oci/busybox?platform=linux') as unknown,
          digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown },
        },
      ],
    },
  });
  const { packages } = (await show('said', '--type', 'sbom')) as { packages: { name: string; comment?: string }[] };
  expect(packages.slice(1).map(({ name }) => name)).toEqual(['musl', 'left']);
  expect(packages[1]?.comment).toContain('Dockerfile:5 ');
  expect(packages[2]?.comment).toContain('Dockerfile:7 ');

  const blobs = join(layout, 'blobs/sha256');
  const documents = readdirSync(blobs).filter((name) => readFileSync(join(blobs, name)).includes('in-toto'));
  expect(documents).not.toHaveLength(0);
  for (const name of readdirSync(blobs)) expect(readFileSync(join(blobs, name)).includes(CANARY), name).toBe(false);
  expect(built.stderr).not.toContain(CANARY);
  const encoded = Buffer.from(CANARY).toString('base64').slice(0, 16);
  for (const name of documents) expect(readFileSync(join(blobs, name), 'utf8')).not.toContain(encoded);
});

it('is pushed with the image, which others read as before', async () => {
  const name = `${registry.host}/team/said:1`;
  const pushed = await build(
    '--attest',
    'type=provenance,mode=min',
    '-o',
    `type=image,name=${name},push=true,store=false`,
  );
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const inspected = execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${name}`], { encoding: 'utf8' });
  expect(JSON.parse(inspected)).toMatchObject({ Os: 'linux' });
  const statements = (await show(name, '--json')) as { predicateType: string; subject: { name: string }[] }[];
  expect(statements.map(({ predicateType }) => predicateType)).toEqual(['https://slsa.dev/provenance/v1']);
  expect(statements[0]?.subject[0]?.name).toMatch(/^pkg:docker\/127\.0\.0\.1:\d+\/team\/said@1\?platform=linux/);
  expect(JSON.stringify(statements)).not.toContain('llbDefinition');
});

it('is what refers to the image in the registry, on demand, and the image stays one plain manifest', async () => {
  const name = `${registry.host}/team/referred:1`;
  const output = `type=image,name=${name},push=true,attestation-storage=referrers`;
  const pushed = await build('--provenance', '--sbom', '-o', output);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const raw = execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`]);
  expect(JSON.parse(raw.toString())).toMatchObject({ mediaType: 'application/vnd.oci.image.manifest.v1+json' });
  // Debian's registry does not list referrers: the tag that stands for the list has them.
  const tag = `sha256-${createHash('sha256').update(raw).digest('hex')}`;
  const list = execFileSync(
    'skopeo',
    ['inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/team/referred:${tag}`],
    { encoding: 'utf8' },
  );
  expect((JSON.parse(list) as { manifests: unknown[] }).manifests).toEqual([
    expect.objectContaining({ artifactType: 'application/vnd.docker.attestation.manifest.v1+json' }),
  ]);
  for (const state of [bench.env['SLIPWAY_ROOT'] ?? '', join(bench.dir, 'elsewhere')]) {
    const shown = await bench.run(['attest', 'show', name, '--json'], { env: { SLIPWAY_ROOT: state } });
    const statements = JSON.parse(shown.stdout) as { predicateType: string }[];
    expect(statements.map(({ predicateType }) => predicateType).sort()).toEqual([
      'https://slsa.dev/provenance/v1',
      'https://spdx.dev/Document',
    ]);
  }
  const refused = await build('--sbom', '-o', 'type=image,name=x,attestation-storage=referrers');
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('add push=true') as string });
});

it('lies beside the files of a result that is no image, about each of them', async () => {
  const out = join(bench.dir, 'files');
  const tar = join(bench.dir, 'files.tar');
  const built = await build('--provenance', '--sbom', '-o', out, '-o', `type=tar,dest=${tar},attestation-prefix=said-`);
  expect(built, built.stderr).toMatchObject({ code: 0 });
  for (const [name, type] of [
    ['provenance.json', 'https://slsa.dev/provenance/v1'],
    ['sbom.spdx.json', 'https://spdx.dev/Document'],
  ] as const) {
    const statement = JSON.parse(readFileSync(join(out, name), 'utf8')) as {
      subject: { name: string; digest: { sha256: string } }[];
    };
    expect(statement).toMatchObject({ predicateType: type });
    const sha256 = createHash('sha256')
      .update(readFileSync(join(out, 'app')))
      .digest('hex');
    expect(statement.subject).toContainEqual({ name: 'app', digest: { sha256 } });
    expect(readFileSync(join(out, name)).includes(CANARY)).toBe(false);
  }
  const names = execFileSync('tar', ['tf', tar], { encoding: 'utf8' }).split('\n');
  expect(names.filter((name) => name.startsWith('said-')).sort()).toEqual([
    'said-provenance.json',
    'said-sbom.spdx.json',
  ]);
  const plain = join(bench.dir, 'no-files');
  await build('-o', plain);
  expect(readdirSync(plain)).not.toContain('provenance.json');
});

it('leaves one platform one plain manifest unless asked', async () => {
  const layout = join(bench.dir, 'plain');
  expect(await build('-t', 'plain', '-o', `type=oci,tar=false,dest=${layout}`)).toMatchObject({ code: 0 });
  expect(readLayout(layout).manifest.mediaType).toBe('application/vnd.oci.image.manifest.v1+json');
  const shown = await bench.run(['attest', 'show', 'plain']);
  expect(shown).toMatchObject({ code: 1, stdout: '', stderr: 'nothing is said of plain\n' });
  const off = join(bench.dir, 'off');
  expect(await build('--provenance=false', '-o', `type=oci,tar=false,dest=${off}`)).toMatchObject({ code: 0 });
  expect(readLayout(off).manifest.mediaType).toBe('application/vnd.oci.image.manifest.v1+json');
});

it('says at once what is wrong with the words', async () => {
  const wrong = await build('--provenance=mode=all');
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('there is no mode all');
});
