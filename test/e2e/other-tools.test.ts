/** What we write, other tools read; what they write, we read: umoci, podman, buildah and skopeo of Debian. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
let context = '';
let base = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
  context = bench.context('app', {
    Dockerfile: `FROM busybox
RUN mkdir /data
COPY --chown=1000:2000 --chmod=640 file /data/file
RUN ln -s file /data/link && echo one > /data/first && ln /data/first /data/hard && rm /etc/group && mkdir -m 1777 /data/dir && echo x > "/data/a b"
RUN rm -r /data/dir && mkdir /data/dir && echo y > /data/dir/y
ENV GREETING=hi
WORKDIR /data
USER 1000:2000
CMD ["cat", "file"]
`,
    file: 'content\n',
  });
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const build = async (...args: readonly string[]): Promise<void> => {
  const built = await bench.run(['build', '--build-context', base, ...args, context]);
  expect(built, built.stderr).toMatchObject({ code: 0 });
};

// umoci 0.4 reads no zstd; podman and skopeo do.
it.each(['gzip', 'estargz', 'uncompressed'])('umoci unpacks an image of %s layers', async (compression) => {
  const layout = join(bench.dir, `layout-${compression}`);
  await build('-o', `type=oci,tar=false,dest=${layout},name=app:1,compression=${compression}`);
  const bundle = join(bench.dir, `bundle-${compression}`);
  run('umoci', 'unpack', '--image', `${layout}:1`, bundle);
  const root = join(bundle, 'rootfs');
  expect(readFileSync(join(root, 'data/file'), 'utf8')).toBe('content\n');
  const file = statSync(join(root, 'data/file'));
  expect([file.mode & 0o7777, file.uid, file.gid]).toEqual([0o640, 1000, 2000]);
  expect(statSync(join(root, 'data/hard')).ino).toBe(statSync(join(root, 'data/first')).ino);
  expect(readdirSync(join(root, 'data')).sort()).toEqual(['a b', 'dir', 'file', 'first', 'hard', 'link']);
  expect(readdirSync(join(root, 'data/dir'))).toEqual(['y']);
  expect(existsSync(join(root, 'etc/group'))).toBe(false);
  const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as {
    process: { env: string[]; args: string[]; cwd: string };
  };
  expect(spec.process).toMatchObject({
    args: ['cat', 'file'],
    cwd: '/data',
    env: expect.arrayContaining(['GREETING=hi']) as unknown,
  });
});

describe('podman', () => {
  // A store of its own, without what the kernel might not give.
  const podman = (...args: readonly string[]): string =>
    run(
      'podman',
      '--root',
      join(bench.dir, 'podman'),
      '--runroot',
      join(bench.dir, 'podman-run'),
      '--storage-driver',
      'vfs',
      ...args,
    );

  it.each([
    ['docker', 'gzip'],
    ['oci', 'zstd'],
  ])('loads an archive of type %s (%s), and what it saves is loaded here', async (type, compression) => {
    const file = join(bench.dir, `podman-${type}.tar`);
    await build('-o', `type=${type},dest=${file},name=localhost/app:${type},compression=${compression}`);
    expect(podman('load', '--quiet', '--input', file)).toContain(`localhost/app:${type}`);
    const [shown] = JSON.parse(podman('image', 'inspect', `localhost/app:${type}`)) as {
      Config: object;
      RootFS: { Layers: string[] };
    }[];
    expect(shown?.Config).toMatchObject({ User: '1000:2000', WorkingDir: '/data', Cmd: ['cat', 'file'] });
    const saved = join(bench.dir, `saved-${type}.tar`);
    podman('save', '--quiet', '--format', `${type}-archive`, '--output', saved, `localhost/app:${type}`);
    const env = { SLIPWAY_ROOT: join(bench.dir, `state-${type}`) };
    const loaded = await bench.run(['load', '-i', saved], { env });
    expect(loaded, loaded.stderr).toMatchObject({ code: 0, stdout: `Loaded image: localhost/app:${type}\n` });
    expect((await bench.run(['run', `localhost/app:${type}`], { env })).stdout).toBe('content\n');
    const layers = JSON.parse(
      (await bench.run(['inspect', '--format', '{{json .RootFS.Layers}}', `localhost/app:${type}`], { env })).stdout,
    ) as string[];
    expect(layers).toEqual(shown?.RootFS.Layers);
  });
});

describe('buildah', () => {
  const buildah = (...args: readonly string[]): string =>
    run(
      'buildah',
      '--root',
      join(bench.dir, 'buildah'),
      '--runroot',
      join(bench.dir, 'buildah-run'),
      '--storage-driver',
      'vfs',
      ...args,
    );

  beforeAll(() => {
    const files = join(bench.dir, 'files');
    mkdirSync(files, { recursive: true });
    writeFileSync(join(files, 'made'), 'by buildah\n', { mode: 0o604 });
    const container = buildah('from', 'scratch').trim();
    buildah('copy', '--quiet', '--chown', '7:8', container, files, '/files');
    buildah('config', '--env', 'MADE=buildah', container);
    buildah('commit', '--quiet', container, 'localhost/made:1');
    buildah('push', '--quiet', 'localhost/made:1', `oci:${join(bench.dir, 'made')}:1`);
    buildah(
      'push',
      '--quiet',
      '--tls-verify=false',
      '--format',
      'v2s2',
      'localhost/made:1',
      `docker://${registry.host}/made:docker`,
    );
    run(
      'skopeo',
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      '--dest-compress-format',
      'zstd',
      `oci:${join(bench.dir, 'made')}:1`,
      `docker://${registry.host}/made:zstd`,
    );
  });

  it.each([
    ['its layout', () => ['--build-context', `made=oci-layout://${join(bench.dir, 'made')}:1`], () => 'made'],
    ['Docker manifests of its push', () => [], () => `${registry.host}/made:docker`],
    ['zstd layers, which skopeo made', () => [], () => `${registry.host}/made:zstd`],
  ])('writes %s, and a build reads it', async (_, flags, name) => {
    const project = bench.context('reads', {
      Dockerfile: `FROM ${name()} AS made\nFROM busybox\nCOPY --from=made /files /files\nRUN stat -c '%a %u %g' /files/made > /seen\nFROM made\nCOPY --from=1 /seen /seen\n`,
    });
    const out = join(bench.dir, `read-${readdirSync(bench.dir).length}`);
    const env = { SLIPWAY_ROOT: join(bench.dir, `state-${readdirSync(bench.dir).length}`) };
    const built = await bench.run(['build', '--build-context', base, ...flags(), '-t', 'reads', '-o', out, project], {
      env,
    });
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(readFileSync(join(out, 'files/made'), 'utf8')).toBe('by buildah\n');
    expect(readFileSync(join(out, 'seen'), 'utf8')).toBe('604 7 8\n');
    expect((await bench.run(['inspect', '-f', '{{json .Config.Env}}', 'reads'], { env })).stdout).toContain(
      'MADE=buildah',
    );
  });
});
