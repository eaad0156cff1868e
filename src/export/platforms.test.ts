import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExportInput, ExportResult, Layer } from '../contracts/index.ts';
import { parseIndex, parseManifest } from '../image/index.ts';
import { parseAnnotation } from './annotations.ts';
import { createExporter } from './create-exporter.ts';
import { parseOutput } from './parse-output.ts';
import { META, openFixture } from './testing/fixture.ts';
import type { Fixture } from './testing/fixture.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const ARM64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const ARMV7 = { os: 'linux', architecture: 'arm', variant: 'v7' };

let fixture: Fixture;
/** What all platforms have. */
let shared: Layer;
let inputs: readonly ExportInput[];
beforeAll(async () => {
  fixture = await openFixture();
  shared = fixture.layer({ 'etc/shared': 'the same' });
  inputs = [AMD64, ARM64, ARMV7].map((platform) => {
    const { os, architecture } = platform;
    const own = fixture.layer({
      bin: { type: 'directory', ...META, mode: 0o755 },
      'bin/app': `for ${architecture}`,
      'bin/link': { type: 'file', ...META, size: 4 + architecture.length, hardlink: 'bin/app' },
    });
    return { ...fixture.input([shared, own]), config: { os, architecture }, platform };
  });
});
afterAll(() => fixture.close());

async function run(output: string, given = inputs, names: readonly string[] = []): Promise<ExportResult> {
  const exporter = await createExporter(parseOutput(output), {
    store: fixture.store,
    registry: {} as never,
    stdout: new PassThrough(),
    names,
    platforms: given.map(({ platform }) => platform),
    cwd: fixture.dir,
  });
  const result = await exporter.export(given, fixture.context);
  await result.publish?.(fixture.context);
  return result;
}
const path = (name: string): string => join(fixture.dir, name);
const skopeo = (...args: readonly string[]): string => execFileSync('skopeo', args, { encoding: 'utf8' });

describe('an image of several platforms', () => {
  test('is an index in the store', async () => {
    const { image } = await run('type=image', inputs, ['app']);
    expect(image).toMatchObject({ mediaType: 'application/vnd.oci.image.index.v1+json', layers: 4 });
    expect(image?.configDigest).toBeUndefined();
    expect(fixture.store.image('docker.io/library/app:latest')).toMatchObject({ digest: image?.digest });
    const index = parseIndex(await fixture.store.readBlob(image?.digest ?? 'sha256:'));
    expect(index.manifests.map(({ platform }) => platform)).toEqual([
      AMD64,
      { os: 'linux', architecture: 'arm64' },
      ARMV7,
    ]);
    const layers = new Set<string>();
    for (const { digest } of index.manifests) {
      const manifest = parseManifest(await fixture.store.readBlob(digest));
      expect(fixture.store.hasBlob(manifest.config.digest)).toBe(true);
      for (const layer of manifest.layers) layers.add(layer.digest);
    }
    expect(layers.size).toBe(4);
  });

  test('is a layout that skopeo takes, all of it or one platform', async () => {
    const { image } = await run('type=oci,dest=all.tar', inputs, ['app:1']);
    skopeo('copy', '-q', '--all', `oci-archive:${path('all.tar')}:1`, `oci:${path('copied')}:1`);
    const top = JSON.parse(readFileSync(path('copied/index.json'), 'utf8')) as { manifests: { digest: string }[] };
    expect(top.manifests[0]?.digest).toBe(image?.digest);
    for (const [arch, words] of [
      ['amd64', []],
      ['arm64', []],
      ['arm', ['--override-variant', 'v7']],
    ] as const) {
      const flags = ['--override-arch', arch, ...words];
      expect(JSON.parse(skopeo(...flags, 'inspect', `oci-archive:${path('all.tar')}:1`))).toMatchObject({
        Architecture: arch,
      });
    }
  });

  test("is Docker's manifest list with oci-mediatypes=false", async () => {
    const { image } = await run('type=oci,tar=false,oci-mediatypes=false,dest=docker-types', inputs, ['app']);
    expect(image?.mediaType).toBe('application/vnd.docker.distribution.manifest.list.v2+json');
    const blob = path(`docker-types/blobs/${image?.digest.replace(':', '/') ?? ''}`);
    expect(parseIndex(readFileSync(blob)).manifests[0]?.mediaType).toBe(
      'application/vnd.docker.distribution.manifest.v2+json',
    );
  });

  test('is a plain manifest when there is but one', async () => {
    const [first] = inputs;
    const { image } = await run('type=oci,dest=one.tar', first === undefined ? [] : [first], ['app']);
    expect(image?.mediaType).toBe('application/vnd.oci.image.manifest.v1+json');
    expect(image?.configDigest).toBeDefined();
  });

  test('has annotations where they were asked for', async () => {
    const words = [
      'annotation.all=m',
      'annotation-manifest[linux/arm64].all=arm64',
      'annotation-manifest-descriptor[linux/arm/v7].d=armv7',
      'annotation-index.i=index',
      'annotation-index-descriptor.id=top',
    ];
    const { image } = await run(`type=oci,tar=false,dest=annotated,${words.join(',')}`, inputs, ['app']);
    const read = (digest: string): Buffer => readFileSync(path(`annotated/blobs/${digest.replace(':', '/')}`));
    const top = parseIndex(readFileSync(path('annotated/index.json')));
    expect(top.manifests[0]?.annotations).toMatchObject({ id: 'top' });
    const index = parseIndex(read(image?.digest ?? ''));
    expect(index.annotations).toEqual({ i: 'index' });
    expect(index.manifests.map(({ annotations }) => annotations)).toEqual([undefined, undefined, { d: 'armv7' }]);
    expect(index.manifests.map(({ digest }) => parseManifest(read(digest)).annotations)).toEqual([
      { all: 'm' },
      { all: 'arm64' },
      { all: 'm' },
    ]);
  });

  test.each([
    ['type=docker,dest=x.tar', 3, 'linux/amd64, linux/arm64, linux/arm/v7'],
    ['type=docker', 2, 'linux/amd64, linux/arm64'],
    ['type=oci,dest=x.tar,annotation-index.a=b', 1, 'index'],
    ['type=oci,dest=x.tar,annotation-manifest[linux/s390x].a=b', 2, 'linux/s390x'],
  ])('%s for %i is refused before anything is built', async (output, count, said) => {
    const surroundings = {
      store: fixture.store,
      registry: {} as never,
      stdout: new PassThrough(),
      names: [],
      platforms: inputs.slice(0, count).map(({ platform }) => platform),
    };
    const refused = createExporter(parseOutput(output), surroundings);
    await expect(refused).rejects.toMatchObject({ code: 'usage' });
    await expect(refused).rejects.toThrow(said);
  });
});

describe('files of several platforms', () => {
  test.each(['local', 'tar'])('type=%s: a directory for each', async (type) => {
    await run(`type=${type},dest=${type === 'tar' ? 'files.tar' : 'files'}`);
    const root = path(type === 'tar' ? 'untarred' : 'files');
    if (type === 'tar') {
      execFileSync('mkdir', [root]);
      execFileSync('tar', ['-xf', path('files.tar'), '-C', root]);
    }
    expect(readdirSync(root).sort()).toEqual(['linux_amd64', 'linux_arm64', 'linux_arm_v7']);
    expect(readFileSync(join(root, 'linux_arm64/bin/app'), 'utf8')).toBe('for arm64');
    expect(readFileSync(join(root, 'linux_arm_v7/bin/link'), 'utf8')).toBe('for arm');
  });

  test.each(['local', 'tar'])('type=%s,platform-split=false: together, unless one would hide another', async (type) => {
    const dest = `merged-${type}`;
    const apart = inputs.map((input, i) => ({
      ...input,
      snapshot: fixture.input([fixture.layer({ [`app-${i}`]: `own ${i}`, d: { type: 'directory', ...META } })])
        .snapshot,
    }));
    await run(`type=${type},dest=${dest},platform-split=false`, apart);
    const names =
      type === 'tar'
        ? execFileSync('tar', ['-tf', path(dest)], { encoding: 'utf8' })
        : readdirSync(path(dest)).join('\n');
    expect(names.trim().split('\n')).toEqual(expect.arrayContaining(['app-0', 'app-1', 'app-2']));
    await expect(run(`type=${type},dest=refused-${type},platform-split=false`)).rejects.toThrow(
      "bin/app of linux/arm64 would take the place of linux/amd64's",
    );
  });

  test('mode=delete leaves nothing else', async () => {
    await run('type=local,dest=mirror');
    execFileSync('touch', [path('mirror/stale'), path('mirror/linux_amd64/stale')]);
    await run('type=local,dest=mirror,mode=delete', inputs.slice(0, 2));
    expect(readdirSync(path('mirror')).sort()).toEqual(['linux_amd64', 'linux_arm64']);
    expect(readdirSync(path('mirror/linux_amd64')).sort()).toEqual(['bin', 'etc']);
  });
});

test.each<[string, string[] | string]>([
  ['k=v', ['manifest  k v']],
  ['index:org.x=a=b', ['index  org.x a=b']],
  ['index,manifest-descriptor[linux/arm64]:k=v', ['index  k v', 'manifest-descriptor linux/arm64 k v']],
  ['a.b:c=v', 'nothing that is annotated'],
  ['k', 'no value'],
  ['index:=v', 'no key'],
  ['manifest[x]:k=v', 'no platform'],
])('--annotation %s', (word, expected) => {
  const read = (): string[] =>
    parseAnnotation(word).map(({ target, platform = '', key, value }) => `${target} ${platform} ${key} ${value}`);
  if (typeof expected === 'string') expect(read).toThrow(expected);
  else expect(read()).toEqual(expected);
});
