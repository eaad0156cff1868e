import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxTar, writeImages, writeLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { foreignProgram } from '../support/foreign-program.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { rawTar } from '../support/tar.ts';

const HOST = process.arch === 'arm64' ? 'arm64' : 'amd64';
const OTHER = process.arch === 'arm64' ? 'amd64' : 'arm64';
const BOTH = `linux/${HOST},linux/${OTHER}`;

const bench = new Bench();
let registry: TestRegistry;
let mirror = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  mirror = `docker.io=${registry.host}`;
  // For the other machine: a program that has its header and nothing else, so that nobody runs it by chance.
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(OTHER === 'arm64' ? 183 : 62, 18);
  const program = join(bench.dir, 'foreign-busybox');
  writeFileSync(program, header);
  const config = { Env: ['PATH=/bin'], Cmd: ['sh'] };
  const layout = writeImages(join(bench.dir, 'busybox'), [
    { tars: [busyboxTar(bench.dir)], config },
    { tars: [busyboxTar(bench.dir, program)], config, architecture: OTHER },
  ]);
  registry.push(`${layout}:latest`, 'busybox:latest');
  const single = writeLayout(join(bench.dir, 'single'), [busyboxTar(bench.dir)], config);
  registry.push(`${single}:latest`, 'single:latest');
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

const build = async (...args: readonly string[]) =>
  await bench.run(['build', '--mirror', mirror, '--progress', 'plain', ...args]);
interface Inspected {
  readonly Digest: string;
  readonly Architecture: string;
}
const inspect = (name: string, ...flags: readonly string[]): Inspected => {
  const args = [...flags, 'inspect', '--tls-verify=false', `docker://${name}`];
  return JSON.parse(execFileSync('skopeo', args, { encoding: 'utf8' })) as Inspected;
};

const CROSS = `FROM --platform=$BUILDPLATFORM busybox AS vendor
RUN cat /proc/sys/kernel/random/uuid > /vendor
FROM vendor AS build
ARG TARGETARCH
RUN echo made for $TARGETARCH > /app
FROM busybox
COPY --from=build /app /vendor /
CMD ["cat", "/app"]
`;

describe('an image of two platforms', () => {
  it('is built at once; what both need runs once', async () => {
    const context = bench.context('cross', { Dockerfile: CROSS });
    const built = await build('--platform', BOTH, '-t', 'cross', context);
    expect(built).toMatchObject({ code: 0 });
    expect(built.stderr.match(/^#\d+ \[linux\/\w+ vendor 2\/2\] RUN cat/gm)?.length).toBeGreaterThan(0);
    expect(built.stderr).toContain(`[linux/${HOST}->${OTHER} build 1/1] RUN echo made for ${OTHER}`);
    expect(built.stderr).toMatch(/exporting manifest list sha256:/);

    expect(await bench.run(['run', 'cross'])).toMatchObject({ code: 0, stdout: `made for ${HOST}\n` });
    const shown = JSON.parse((await bench.run(['inspect', 'cross'])).stdout) as [object];
    expect(shown[0]).toMatchObject({ Architecture: HOST, Platforms: BOTH.split(',') });
    const other = await bench.run(['inspect', '--platform', `linux/${OTHER}`, 'cross']);
    expect(JSON.parse(other.stdout)).toMatchObject([{ Architecture: OTHER }]);
    expect(await bench.run(['inspect', '--platform', 'linux/s390x', 'cross'])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining(`it has linux/${HOST}, linux/${OTHER}`) as string,
    });
    expect(await bench.run(['images'])).toMatchObject({ stdout: expect.stringContaining('cross') as string });

    // One directory each, with the same file out of the stage that ran once.
    const out = join(bench.dir, 'cross-out');
    expect(await build('--platform', BOTH, '-o', out, context)).toMatchObject({ code: 0 });
    const read = (arch: string, file: string): string => readFileSync(join(out, `linux_${arch}`, file), 'utf8');
    expect(read(HOST, 'vendor')).toBe(read(OTHER, 'vendor'));
    expect(read(OTHER, 'app')).toBe(`made for ${OTHER}\n`);
  });

  it('is pushed as an index that others take for either machine', async () => {
    const context = bench.context('pushed', { Dockerfile: CROSS });
    const names = ['one:1', 'one:latest', 'two:1'].map((name) => `${registry.host}/team/${name}`);
    const metadata = join(bench.dir, 'metadata.json');
    const pushed = await build(
      ...['--platform', BOTH, '--push', '--metadata-file', metadata, '--annotation', 'index:org.example.kind=both'],
      ...names.flatMap((name) => ['-t', name]),
      context,
    );
    expect(pushed).toMatchObject({ code: 0 });
    const { 'containerimage.digest': digest, ...rest } = JSON.parse(readFileSync(metadata, 'utf8')) as Record<
      string,
      string
    >;
    expect(rest).not.toHaveProperty('containerimage.config.digest');
    for (const name of names) {
      const raw = execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`]);
      expect(JSON.parse(raw.toString())).toMatchObject({
        mediaType: 'application/vnd.oci.image.index.v1+json',
        annotations: { 'org.example.kind': 'both' },
      });
      expect(inspect(name, '--override-arch', OTHER)).toMatchObject({ Architecture: OTHER, Digest: digest });
    }
  });

  it('appears under all of its names or under none', async () => {
    const context = bench.context('all-or-none', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    const good = `${registry.host}/atomic/good:1`;
    const failing = await build('-t', good, '-t', '127.0.0.1:1/atomic/bad:1', '--push', context);
    expect(failing).toMatchObject({ code: 4 });
    expect(() => inspect(good)).toThrow();
    expect((await bench.run(['images'])).stdout).not.toContain('atomic');

    const unwritable = await build('-t', good, '--push', '-o', `type=oci,dest=${bench.dir}/no/such/place.tar`, context);
    expect(unwritable.code).not.toBe(0);
    expect(unwritable.stderr).not.toContain('COPY Dockerfile');
    expect(() => inspect(good)).toThrow();
  });

  it('goes into a layout, not into a docker archive', async () => {
    const context = bench.context('archives', { Dockerfile: CROSS });
    const tar = join(bench.dir, 'both.tar');
    expect(await build('--platform', BOTH, '-o', `type=oci,dest=${tar}`, '-t', 'x:1', context)).toMatchObject({
      code: 0,
    });
    execFileSync('skopeo', ['copy', '-q', '--all', `oci-archive:${tar}:1`, `oci:${join(bench.dir, 'both')}`]);
    for (const flags of [['-o', `type=docker,dest=${tar}`], ['--load']]) {
      const refused = await build('--platform', BOTH, ...flags, context);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(`linux/${OTHER}`) as string });
    }
  });
});

describe('a step of another platform', () => {
  const table = '/proc/sys/fs/binfmt_misc';

  it('needs no emulation to copy files', async () => {
    const context = bench.context('copy-only', {
      Dockerfile: 'FROM busybox\nWORKDIR /srv\nCOPY --chown=app:app page.html .\nADD page.html /\n',
      'page.html': 'hello',
    });
    const built = await build('--platform', `linux/${OTHER}`, '-t', 'copy-only', context);
    expect(built).toMatchObject({ code: 0 });
    expect(JSON.parse((await bench.run(['inspect', 'copy-only'])).stdout)).toMatchObject([{ Architecture: OTHER }]);
  });

  it('runs where its programs are of this machine all the same', async () => {
    const context = bench.context('mislabelled', { Dockerfile: 'FROM single\nRUN echo ran > /ran\n' });
    const out = join(bench.dir, 'mislabelled-out');
    expect(await build('--platform', `linux/${OTHER}`, '-o', out, context)).toMatchObject({ code: 0 });
    expect(readFileSync(join(out, 'ran'), 'utf8')).toBe('ran\n');
  });

  it('fails with what to install, and how to do without', async () => {
    const context = bench.context('no-emulator', { Dockerfile: 'FROM busybox AS base\nRUN setup\n' });
    const failed = await build('--platform', `linux/${OTHER}`, context);
    expect(failed.code).toBe(3);
    expect(failed.stderr).toContain('>>> RUN setup');
    expect(failed.stderr).toMatch(
      new RegExp(`error: a step for linux/${OTHER} cannot run on linux/${HOST}: no emulator`),
    );
    expect(failed.stderr).toMatch(/hint: .*qemu-user-static.*FROM --platform=\$BUILDPLATFORM/);
  });

  const lacksBinfmt = !readFileSync('/proc/filesystems', 'utf8').includes('binfmt_misc');

  it.skipIf(lacksBinfmt)(`is emulated${lacksBinfmt ? ' (this kernel lacks binfmt_misc)' : ''}`, async () => {
    const emulator = `/usr/bin/qemu-${OTHER === 'arm64' ? 'aarch64' : 'x86_64'}-static`;
    const machine = rawTar([{ name: 'machine', mode: 0o755, data: foreignProgram(OTHER, `machine ${OTHER}\n`) }]);
    const layout = writeImages(join(bench.dir, 'emulated-base'), [
      { tars: [machine], config: { Cmd: ['/machine'] }, architecture: OTHER },
    ]);
    const mounted = existsSync(`${table}/status`);
    if (!mounted) execFileSync('mount', ['-t', 'binfmt_misc', 'binfmt_misc', table]);
    const type = OTHER === 'arm64' ? '\\xb7' : '\\x3e';
    const magic = `\\x7fELF\\x02\\x01\\x01${'\\x00'.repeat(9)}\\x02\\x00${type}\\x00`;
    const mask = `${'\\xff'.repeat(7)}\\x00${'\\xff'.repeat(8)}\\xfe\\xff\\xff\\xff`;
    writeFileSync(`${table}/register`, `:slipway-e2e:M::${magic}:${mask}:${emulator}:F`);
    try {
      const context = bench.context('emulated', { Dockerfile: 'FROM base\nRUN ["/machine"]\n' });
      const contexts = ['--build-context', `base=oci-layout://${layout}:latest`];
      const built = await build('--platform', `linux/${OTHER}`, ...contexts, '-t', 'emulated', context);
      expect(built).toMatchObject({ code: 0 });
      expect(built.stderr).toMatch(new RegExp(`machine ${OTHER}$`, 'm'));
      expect(await bench.run(['run', 'emulated'])).toMatchObject({ code: 0, stdout: `machine ${OTHER}\n` });
    } finally {
      writeFileSync(`${table}/slipway-e2e`, '-1');
      if (!mounted) execFileSync('umount', [table]);
    }
  });
});

it.each([
  ['linux/amd46', 'did you mean linux/amd64?'],
  ['linux', undefined],
])('--platform %s', async (platform, hint) => {
  const context = bench.context('words', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  const built = await build('--platform', platform, context);
  expect(built.code).toBe(hint === undefined ? 0 : 2);
  expect(built.stderr).toContain(hint ?? 'COPY');
});
