/** Images as a docker user handles them: tag, pull, push, save, load, images, inspect, history, rmi. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout, writeImages } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
let name = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  name = `${registry.host}/library/busybox`;
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

const fresh = (state: string) => ({ env: { SLIPWAY_ROOT: join(bench.dir, state) } });
const skopeo = (...args: readonly string[]): string => execFileSync('skopeo', args, { encoding: 'utf8' });

describe('a pulled image', () => {
  const state = fresh('pulled');

  it('is listed, run, tagged, pushed and found by others', async () => {
    const pulled = await bench.run(['pull', name], state);
    expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
    const [, digest, status, full] = pulled.stdout.split('\n');
    expect(digest).toMatch(/^Digest: sha256:[0-9a-f]{64}$/);
    expect(status).toBe(`Status: Downloaded newer image for ${name}:latest`);
    expect(full).toBe(`${name}:latest`);
    expect((await bench.run(['pull', name], state)).stdout).toContain(
      `Status: Image is up to date for ${name}:latest\n`,
    );
    // Nor does Node say anything, of what it holds to be experimental.
    expect(await bench.run(['pull', '-q', name], state)).toMatchObject({ stdout: `${name}:latest\n`, stderr: '' });
    expect((await bench.run(['run', name, 'echo', 'hi'], state)).stdout).toBe('hi\n');

    const other = `${registry.host}/team/bb:1`;
    expect(await bench.run(['tag', name, other], state)).toMatchObject({ code: 0, stdout: '' });
    const pushed = await bench.run(['push', other], state);
    expect(pushed.stdout).toMatch(/^1: digest: sha256:[0-9a-f]{64} size: \d+\n$/);
    expect(JSON.parse(skopeo('inspect', '--tls-verify=false', `docker://${other}`))).toMatchObject({
      Digest: digest?.slice('Digest: '.length),
    });
    const all = await bench.run(['push', '--all-tags', `${registry.host}/team/bb`, '-q'], state);
    expect(all).toMatchObject({ stdout: `${other}\n`, stderr: '' });
  });

  it('shows as docker shows it', async () => {
    const images = await bench.run(['images'], state);
    expect(images.stdout).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\n/);
    const [id = ''] = (await bench.run(['images', '-q'], state)).stdout.split('\n');
    expect(id).toMatch(/^[0-9a-f]{12}$/);
    const rows = [
      [['--format', '{{.Repository}}:{{.Tag}} {{.ID}}', name], `${name}:latest ${id}\n`],
      [['--filter', `reference=${registry.host}/team/*`, '--format', '{{.Tag}}'], '1\n'],
      [['--filter', 'label=nothing', '-q'], ''],
      [['--format', 'table {{.Tag}}\t{{.ID}}', `${name}:latest`], `TAG      IMAGE ID\nlatest   ${id}\n`],
      [['--no-trunc', '-q', `${name}:latest`], expect.stringMatching(`^sha256:${id}[0-9a-f]{52}\n$`) as string],
      [
        ['--digests', '--format', '{{.Digest}}', `${name}:latest`],
        expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) as string,
      ],
    ] as const;
    for (const [args, stdout] of rows)
      expect(await bench.run(['images', ...args], state)).toMatchObject({ code: 0, stdout });

    const format = '{{index .Config.Env 0}} {{.Os}}/{{.Architecture}} {{join .RepoTags ","}}';
    expect((await bench.run(['inspect', '-f', format, id], state)).stdout).toBe(
      `PATH=/bin linux/amd64 ${name}:latest,${registry.host}/team/bb:1\n`,
    );
    const both = await bench.run(['image', 'inspect', '--format', '{{.Id}}', 'nope', name], state);
    expect(both).toMatchObject({ code: 4, stdout: expect.stringContaining(id) as string });
    expect(both.stderr).toContain('no image nope');
    expect((await bench.run(['history', name], state)).stdout).toMatch(/^IMAGE +CREATED +CREATED BY +SIZE +COMMENT\n/);
    expect(await bench.run(['inspect', '-f', '{{.Nope}}', name], state)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no field .Nope') as string,
    });
    expect(await bench.run(['images', '--filter', 'color=red'], state)).toMatchObject({ code: 2 });
  });

  it('is removed name by name, or whole', async () => {
    const [id = ''] = (await bench.run(['images', '-q'], state)).stdout.split('\n');
    const refused = await bench.run(['rmi', id], state);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('several names') as string });
    expect((await bench.run(['rmi', `${registry.host}/team/bb:1`], state)).stdout).toBe(
      `Untagged: ${registry.host}/team/bb:1\n`,
    );
    const gone = await bench.run(['rmi', 'nope', name], state);
    expect(gone).toMatchObject({ code: 4 });
    expect(gone.stdout).toMatch(new RegExp(`^Untagged: ${name}:latest\nDeleted: sha256:`));
    expect(await bench.run(['rmi', '-f', 'nope'], state)).toMatchObject({ code: 0 });
    expect((await bench.run(['images', '-q'], state)).stdout).toBe('');
  });
});

it('pulls and pushes one platform of several, and says so', async () => {
  const layout = writeImages(join(bench.dir, 'both'), [
    { tars: [Buffer.alloc(1024)], config: { Cmd: ['a'] }, architecture: 'amd64' },
    { tars: [Buffer.alloc(2048)], config: { Cmd: ['b'] }, architecture: 'arm64' },
  ]);
  registry.push(`${layout}:latest`, 'both:latest');
  const both = `${registry.host}/library/both`;
  const state = fresh('several');
  expect(await bench.run(['pull', '--platform', 'linux/arm64', both], state)).toMatchObject({ code: 0 });
  expect((await bench.run(['inspect', '-f', '{{.Architecture}}', both], state)).stdout).toBe('arm64\n');
  const pushed = await bench.run(['push', both], state);
  expect(pushed).toMatchObject({ code: 0, stderr: expect.stringContaining('linux/amd64 of') as string });
  const none = await bench.run(['pull', '--platform', 'linux/s390x', both], fresh('none'));
  expect(none).toMatchObject({ code: 4, stderr: expect.stringContaining('linux/s390x') as string });
});

describe('archives', () => {
  const state = fresh('archives');
  const load = async (file: string, where = fresh(`load-${file.replace(/\W/g, '-')}`)) =>
    await bench.run(['load', '-i', file], where);

  beforeAll(async () => {
    expect(await bench.run(['pull', '-q', name], state)).toMatchObject({ code: 0 });
    expect(await bench.run(['tag', name, 'bb:2'], state)).toMatchObject({ code: 0 });
  });

  it.each(['docker', 'oci'])('of format %s go out and come back the same', async (format) => {
    const file = join(bench.dir, `${format}.tar`);
    expect(await bench.run(['save', '--format', format, '-o', file, name, 'bb:2'], state)).toMatchObject({ code: 0 });
    const stdout = await bench.runBytes(['save', '--format', format, name, 'bb:2'], state);
    expect(stdout.stdout.equals(readFileSync(file))).toBe(true);
    const target = fresh(`back-${format}`);
    const loaded = await load(file, target);
    expect(loaded, loaded.stderr).toMatchObject({ code: 0 });
    expect(loaded.stdout.split('\n').sort()).toEqual(['', `Loaded image: ${name}:latest`, 'Loaded image: bb:2'].sort());
    const ids = await Promise.all(
      [state, target].map(
        async (at) => (await bench.run(['images', '--digests', '--format', '{{.ID}} {{.Digest}}', 'bb'], at)).stdout,
      ),
    );
    expect(ids[0]).toBe(ids[1]);
    expect((await bench.run(['run', 'bb:2', 'echo', 'back'], target)).stdout).toBe('back\n');
    const copied = `docker://${registry.host}/copied/${format}:1`;
    const source = format === 'docker' ? `docker-archive:${file}:bb:2` : `oci-archive:${file}:2`;
    skopeo('copy', '--quiet', '--dest-tls-verify=false', source, copied);
    expect(JSON.parse(skopeo('inspect', '--tls-verify=false', copied))).toMatchObject({ Os: 'linux' });
  });

  it.each([
    ['docker-archive', 'docker-archive:FILE:new/name:3', 'new/name:3'],
    ['oci-archive', 'oci-archive:FILE:docker.io/new/name:3', 'new/name:3'],
    ['zstd', 'oci-archive:FILE:docker.io/new/name:3', 'new/name:3', '--dest-compress-format', 'zstd'],
  ])('of skopeo (%s) are read', async (kind, destination, loadedName, ...flags) => {
    const file = join(bench.dir, `skopeo-${kind}.tar`);
    skopeo(
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      ...flags,
      `docker://${name}:latest`,
      destination.replace('FILE', file),
    );
    const target = fresh(`skopeo-${kind}`);
    const loaded = await load(file, target);
    expect(loaded, loaded.stderr).toMatchObject({ code: 0, stdout: `Loaded image: ${loadedName}\n` });
    expect((await bench.run(['run', loadedName, 'echo', kind], target)).stdout).toBe(`${kind}\n`);
  });

  it('are read compressed, from standard input, and as the directory of a layout', async () => {
    const file = readFileSync(join(bench.dir, 'docker.tar'));
    const piped = fresh('piped');
    expect(await bench.run(['load'], { ...piped, stdin: gzipSync(file) })).toMatchObject({ code: 0 });
    expect((await bench.run(['run', 'bb:2', 'true'], piped)).code).toBe(0);
    const loaded = await load(join(bench.dir, 'busybox-layout'));
    expect(loaded.stdout).toMatch(/^Loaded image ID: sha256:/);
    const listed = await bench.run(['images'], fresh(`load-${join(bench.dir, 'busybox-layout').replace(/\W/g, '-')}`));
    expect(listed.stdout).toMatch(/<none> +<none> +[0-9a-f]{12}/);
  });

  describe('that are bad leave nothing', () => {
    const sha = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
    const tarOf = (dir: string): string => {
      const file = `${dir}.tar`;
      execFileSync('tar', ['-C', dir, '-cf', file, '.']);
      return file;
    };
    const dockerSave = (dir: string, files: Readonly<Record<string, string>>): string => {
      const root = join(bench.dir, dir);
      mkdirSync(root, { recursive: true });
      for (const [path, content] of Object.entries(files)) writeFileSync(join(root, path), content);
      return tarOf(root);
    };
    const config = (diffId: string) =>
      JSON.stringify({
        os: 'linux',
        architecture: 'amd64',
        rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
      });
    const zeros = '\0'.repeat(1024);

    it.each<readonly [string, () => string, number, string]>([
      ['no archive', () => dockerSave('plain', { 'a.txt': 'x' }), 1, 'holds no image'],
      ['a file that is not there', () => '/nonexistent.tar', 1, 'does not exist'],
      [
        'cut short',
        () => {
          const file = join(bench.dir, 'cut.tar');
          writeFileSync(file, readFileSync(join(bench.dir, 'docker.tar')).subarray(0, 200_000));
          return file;
        },
        1,
        'ends',
      ],
      [
        'a layer that is not what its config says',
        () =>
          dockerSave('lies', {
            'manifest.json': '[{"Config":"c","RepoTags":["lie:1"],"Layers":["l"]}]',
            c: config(sha('other')),
            l: zeros,
          }),
        4,
        'is not what its image says',
      ],
      [
        'a layer outside the archive',
        () =>
          dockerSave('out', {
            'manifest.json': '[{"Config":"c","RepoTags":["lie:1"],"Layers":["../../../../etc/passwd"]}]',
            c: config(sha(zeros)),
          }),
        4,
        'which',
      ],
      ['a manifest that is none', () => dockerSave('bad', { 'manifest.json': '{"a":1}' }), 4, 'damaged'],
    ])('%s', async (_, make, code, said) => {
      const result = await load(make(), fresh('bad'));
      expect(result.stderr).toContain(said);
      expect(result.code).toBe(code);
      expect((await bench.run(['images', '-aq'], fresh('bad'))).stdout).toBe('');
    });
  });
});

it.each([
  [['tag', 'x'], 2, 'takes an image and a name'],
  [['tag', 'nope', 'x'], 4, 'no image nope'],
  [['tag', 'nope', `x@sha256:${'0'.repeat(64)}`], 2, 'leave the digest out'],
  [['push', 'nope'], 4, 'no image'],
  [['push', '-a', 'x:1'], 2, 'without a tag'],
  [['pull'], 2, 'takes one image'],
  [['pull', 'HTTP://x/y'], 2, 'URL'],
  [['save', 'nope', '-o', '/tmp/x.tar'], 4, 'no image nope'],
  [['save', '--format', 'zip', 'x'], 2, 'docker or oci'],
  [['load', 'x.tar'], 2, '-i FILE'],
  [['image', 'frobnicate'], 2, 'image has no command "frobnicate"'],
  [['inspect', '--type', 'container', 'x'], 2, '--type takes image'],
])('%j', async (args, code, said) => {
  expect(await bench.run(args)).toMatchObject({ code, stderr: expect.stringContaining(said) as string });
});
