import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
let other: TestRegistry;

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  other = await startRegistry(join(bench.dir, 'other-registry'));
  // As two machines would.
  for (const arch of ['amd64', 'arm64']) {
    const context = bench.context(arch, { Dockerfile: 'FROM scratch\nCOPY what /\n', what: `built for ${arch}` });
    const built = await bench.run(
      ['build', '--platform', `linux/${arch}`, '-t', `${registry.host}/parts/app:${arch}`, '--push', context],
      { env: { SLIPWAY_ROOT: join(bench.dir, `state-${arch}`) } },
    );
    expect(built).toMatchObject({ code: 0 });
  }
});
afterAll(async () => {
  await registry.stop();
  await other.stop();
  bench.dispose();
});

const parts = (): string[] => ['amd64', 'arm64'].map((arch) => `${registry.host}/parts/app:${arch}`);
const inspect = (name: string, arch: string) =>
  JSON.parse(
    execFileSync('skopeo', ['--override-arch', arch, 'inspect', '--tls-verify=false', `docker://${name}`], {
      encoding: 'utf8',
    }),
  ) as { Architecture: string; Digest: string; Layers: string[] };

describe('slipway index create', () => {
  it.each([
    ['beside the images', () => registry, 'parts/app'],
    ['in another repository', () => registry, 'whole/app'],
    ['in another registry', () => other, 'team/app'],
  ])('joins what other machines pushed, %s', async (_, where, path) => {
    const name = `${where().host}/${path}:1`;
    const made = await bench.run(['index', 'create', '-q', '-t', `${where().host}/${path}:latest`, name, ...parts()]);
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) as string });
    for (const arch of ['amd64', 'arm64']) {
      expect(inspect(name, arch)).toMatchObject({ Architecture: arch, Digest: made.stdout.trim() });
      expect(inspect(`${where().host}/${path}:latest`, arch).Layers).toHaveLength(1);
    }
  });

  it('annotates, joins indexes and images, and says what is behind a name', async () => {
    const name = `${registry.host}/annotated/app:1`;
    const first = await bench.run(['index', 'create', `${registry.host}/one/app:1`, parts()[0] ?? '']);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining('/one/app:1@sha256:') as string });
    const made = await bench.run([
      ...['index', 'create', '--annotation', 'org.example.by=hand'],
      ...['--annotation', 'manifest-descriptor[linux/arm64]:org.example.slow=yes'],
      ...[name, `${registry.host}/one/app:1`, parts()[1] ?? ''],
    ]);
    expect(made).toMatchObject({ code: 0 });
    const shown = JSON.parse((await bench.run(['index', 'inspect', '--json', name])).stdout) as object;
    expect(shown).toMatchObject({
      mediaType: 'application/vnd.oci.image.index.v1+json',
      annotations: { 'org.example.by': 'hand' },
      entries: [
        { platform: 'linux/amd64', annotations: {} },
        { platform: 'linux/arm64', annotations: { 'org.example.slow': 'yes' } },
      ],
    });
    const table = (await bench.run(['index', 'inspect', name])).stdout;
    expect(table).toMatch(/^linux\/arm64 +sha256:[0-9a-f]{64} +\d+ ?B$/m);
    expect(table).toContain('Annotation: org.example.by=hand');
    expect(await bench.run(['index', 'inspect', parts()[0] ?? ''])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^linux\/amd64/m) as string,
    });
  });

  it('tries without doing', async () => {
    const name = `${registry.host}/never/app:1`;
    const made = await bench.run(['index', 'create', '--dry-run', name, ...parts()]);
    expect(JSON.parse(made.stdout)).toMatchObject({
      manifests: [{ platform: { architecture: 'amd64' } }, { platform: { architecture: 'arm64' } }],
    });
    expect(await bench.run(['index', 'inspect', name])).toMatchObject({ code: 4 });
  });

  it('joins what was built here, in the store or to a registry', async () => {
    for (const arch of ['amd64', 'arm64'])
      expect(
        await bench.run(['build', '--platform', `linux/${arch}`, '-t', `local:${arch}`, join(bench.dir, arch)]),
      ).toMatchObject({ code: 0 });
    expect(await bench.run(['index', 'create', '--local', 'local:both', 'local:amd64', 'local:arm64'])).toMatchObject({
      code: 0,
    });
    const [shown] = JSON.parse(
      (await bench.run(['inspect', '--platform', 'linux/arm64', 'local:both'])).stdout,
    ) as object[];
    expect(shown).toMatchObject({ Architecture: 'arm64', Platforms: ['linux/amd64', 'linux/arm64'] });
    const name = `${registry.host}/from-store/app:1`;
    expect(await bench.run(['index', 'create', name, 'local:both'])).toMatchObject({ code: 0 });
    expect(inspect(name, 'arm64')).toMatchObject({ Architecture: 'arm64' });
    expect(await bench.run(['index', 'create', '--local', 'x', ...parts()])).toMatchObject({ code: 2 });
  });

  it.each([
    [['index'], 2, 'create or inspect'],
    [['index', 'join'], 2, 'no "join"'],
    [['index', 'create', 'x'], 2, 'NAME IMAGE'],
    [['index', 'create', 'X', 'y'], 2, 'must be lowercase'],
    [['index', 'create', `x@sha256:${'0'.repeat(64)}`, 'y'], 2, 'leave the digest out'],
    [['index', 'create', 'HOST/x', 'HOST/parts/app:amd64', 'HOST/parts/app:missing'], 4, 'HOST/parts/app:missing'],
    [['index', 'create', '--annotation', 'manifest:a=b', 'HOST/x', 'HOST/parts/app:amd64'], 2, 'stays as it was built'],
    [
      ['index', 'create', '--annotation', 'manifest-descriptor[linux/s390x]:a=b', 'HOST/x', 'HOST/parts/app:amd64'],
      2,
      'linux/s390x',
    ],
  ])('%j', async (args, code, said) => {
    const words = args.map((word) => word.replace('HOST', registry.host));
    expect(await bench.run(words)).toMatchObject({
      code,
      stderr: expect.stringContaining(said.replace('HOST', registry.host)) as string,
    });
  });

  it('refuses two images for one platform', async () => {
    const context = bench.context('again', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    await bench.run(['build', '--platform', 'linux/amd64', '-t', 'again:1', context]);
    const refused = await bench.run(['index', 'create', `${registry.host}/twice:1`, parts()[0] ?? '', 'again:1']);
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('again:1 are both for linux/amd64') as string,
    });
  });
});
