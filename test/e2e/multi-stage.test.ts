import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout, readLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
let base = '';

beforeAll(() => {
  base = `oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

const DOCKERFILE = `FROM busybox AS build
WORKDIR /work
COPY input.txt .
RUN tr a-z A-Z < input.txt > output.txt && dd if=/dev/zero of=waste bs=1k count=64 2>/dev/null
FROM busybox AS unneeded
RUN exit 1
FROM busybox
COPY --from=build /work/output.txt /output.txt
ENV GREETING=hello
CMD ["cat", "/output.txt"]
`;

describe('a multi-stage Dockerfile', () => {
  it('becomes an image that runs, and only what the last stage asked for is in it', async () => {
    const context = bench.context('simple', { Dockerfile: DOCKERFILE, 'input.txt': 'made of two stages\n' });
    const args = ['build', '--build-context', `busybox=${base}`, '-t', 'simple', '--progress', 'plain', context];
    const first = await bench.run(args);
    expect(first.stderr).toContain('[build 3/4] RUN tr a-z A-Z');
    expect(first).toMatchObject({ code: 0 });
    expect(first.stderr).not.toContain('exit 1');
    expect(first.stderr).toMatch(/^build .* built, 19 B shipped$/m);

    const ran = await bench.run(['run', '--rm', 'simple']);
    expect(ran).toMatchObject({ code: 0, stdout: 'MADE OF TWO STAGES\n' });
    expect((await bench.run(['run', 'simple', 'ls', '/work'])).code).not.toBe(0);

    const second = await bench.run(args);
    expect(second.code).toBe(0);
    expect(second.stderr).toMatch(/\[stage-2 \d\/2\] COPY --from=build[^\n]*\n#\d+ CACHED/);
    expect(second.stderr).not.toMatch(/DONE .*\n.*RUN tr/);
  });

  it('keeps what copies from a stage when the stage is rebuilt to the same bytes', async () => {
    const dockerfile = (comment: string) => `FROM busybox AS build
RUN echo ${comment} >/dev/null; echo same > /same
FROM busybox
COPY --from=build /same /same
RUN cat /same > /seen && cat /proc/sys/kernel/random/uuid > /stamp
`;
    const one = bench.context('content', { Dockerfile: dockerfile('one') });
    await bench.run(['build', '--build-context', `busybox=${base}`, '-t', 'content', one]);
    const stamp = (await bench.run(['run', 'content', 'cat', '/stamp'])).stdout;
    bench.context('content', { Dockerfile: dockerfile('two') });
    const again = await bench.run([
      'build',
      '--build-context',
      `busybox=${base}`,
      '-t',
      'content',
      '--progress=plain',
      one,
    ]);
    expect(again.stderr).toContain('RUN echo two');
    expect((await bench.run(['run', 'content', 'cat', '/stamp'])).stdout).toBe(stamp);
    expect(stamp).toMatch(/^[0-9a-f-]{36}\n$/);
  });

  it('runs what --no-cache says although it is known', async () => {
    const context = bench.context('nocache', {
      Dockerfile: 'FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n',
    });
    const args = ['build', '--build-context', `busybox=${base}`, '-t', 'nocache', context];
    await bench.run(args);
    const stamp = (await bench.run(['run', 'nocache', 'cat', '/stamp'])).stdout;
    await bench.run(['build', '--no-cache', ...args.slice(1)]);
    expect((await bench.run(['run', 'nocache', 'cat', '/stamp'])).stdout).not.toBe(stamp);
  });

  it('starts the executor for nothing that can be had without it: COPY only', async () => {
    const context = bench.context('copyonly', { Dockerfile: 'FROM scratch\nCOPY . /\n', 'a/b.txt': 'b', 'c.txt': 'c' });
    const out = join(bench.dir, 'copyonly.out');
    const result = await bench.run(['build', '-o', out, context], {
      env: { PATH: '/nonexistent', SLIPWAY_ROOT: join(bench.dir, 'state2') },
    });
    expect(result).toMatchObject({ code: 0 });
    expect(readFileSync(join(out, 'a/b.txt'), 'utf8')).toBe('b');
    const layers = join(bench.dir, 'state2/l');
    const directories = existsSync(layers)
      ? readdirSync(layers).filter((id) => existsSync(join(layers, id, 'fs')))
      : [];
    expect(directories).toEqual([]);
  });

  it('reads the Dockerfile from standard input', async () => {
    const result = await bench.run(['build', '-q', '-t', 'stdin', '-'], { stdin: `FROM scratch\nLABEL a=b\n` });
    expect(result).toMatchObject({ code: 0 });
    expect(result.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const context = bench.context('stdin', { 'file.txt': 'content' });
    const withContext = await bench.run(['build', '-f', '-', '-t', 'stdin2', context], {
      stdin: 'FROM scratch\nCOPY file.txt /\n',
    });
    expect(withContext).toMatchObject({ code: 0 });
  });
});

describe('destinations', () => {
  const files = {
    Dockerfile: 'FROM busybox\nCOPY hello.txt /hello.txt\nRUN rm /bin/vi && mkdir /new && echo x > /new/x\n',
    'hello.txt': 'hello\n',
  };

  it('an OCI layout, the same bytes each time; skopeo reads it; equal diff IDs with SOURCE_DATE_EPOCH', async () => {
    const context = bench.context('oci', files);
    const args = (out: string, root: string) =>
      bench.run(
        [
          'build',
          '--build-context',
          `busybox=${base}`,
          '--build-arg',
          'SOURCE_DATE_EPOCH=1700000000',
          '-o',
          `type=oci,dest=${out}`,
          context,
        ],
        { env: { SLIPWAY_ROOT: root } },
      );
    const [one, two, other] = ['one.tar', 'two.tar', 'other.tar'].map((name) => join(bench.dir, name)) as [
      string,
      string,
      string,
    ];
    expect((await args(one, join(bench.dir, 'state'))).code).toBe(0);
    expect((await args(two, join(bench.dir, 'state'))).code).toBe(0);
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
    expect((await args(other, join(bench.dir, 'state-other'))).code).toBe(0);
    const inspect = (path: string) =>
      JSON.parse(execFileSync('skopeo', ['inspect', '--config', `oci-archive:${path}`], { encoding: 'utf8' })) as {
        rootfs: { diff_ids: string[] };
        created: string;
      };
    expect(inspect(other).rootfs.diff_ids).toEqual(inspect(one).rootfs.diff_ids);
    expect(inspect(one).created).toBe('2023-11-14T22:13:20Z');
  });

  it('white-outs for what a RUN removed', async () => {
    const context = bench.context('oci', files);
    const layout = join(bench.dir, 'layout');
    expect(
      (
        await bench.run([
          'build',
          '--build-context',
          `busybox=${base}`,
          '-o',
          `type=oci,tar=false,dest=${layout}`,
          context,
        ])
      ).code,
    ).toBe(0);
    const { manifest, config } = readLayout(layout);
    expect(manifest.layers).toHaveLength(3);
    expect(config.history.filter((entry) => entry.empty_layer !== true)).toHaveLength(3);
    const top = manifest.layers[2]?.digest.replace(':', '/') ?? '';
    const names = execFileSync('tar', ['-tzf', join(layout, 'blobs', top)], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(names).toContain('bin/.wh.vi');
    expect(names).toContain('new/x');
    expect(names.some((name) => name.startsWith('etc'))).toBe(false);
  });

  it('a docker archive that docker-archive readers accept, also on standard output', async () => {
    const context = bench.context('oci', files);
    const out = await bench.runBytes([
      'build',
      '--build-context',
      `busybox=${base}`,
      '-t',
      'team/app:1',
      '-o',
      'type=docker,dest=-',
      context,
    ]);
    expect(out.code).toBe(0);
    const inspected = execFileSync(
      'sh',
      ['-c', 'cat > "$0" && skopeo inspect "docker-archive:$0:docker.io/team/app:1"', join(bench.dir, 'docker.tar')],
      { input: out.stdout, encoding: 'utf8' },
    );
    expect(JSON.parse(inspected)).toMatchObject({ Os: 'linux' });
  });

  it('a directory and a tar', async () => {
    const context = bench.context('oci', files);
    const dir = join(bench.dir, 'local');
    const tar = join(bench.dir, 'root.tar');
    expect(
      (
        await bench.run([
          'build',
          '--build-context',
          `busybox=${base}`,
          '-o',
          `type=local,dest=${dir}`,
          '-o',
          `type=tar,dest=${tar}`,
          context,
        ])
      ).code,
    ).toBe(0);
    expect(readFileSync(join(dir, 'new/x'), 'utf8')).toBe('x\n');
    expect(existsSync(join(dir, 'bin/vi'))).toBe(false);
    expect(statSync(join(dir, 'bin/busybox')).mode & 0o111).toBe(0o111);
    const names = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' }).split('\n');
    expect(names).toContain('new/x');
    expect(names).not.toContain('bin/vi');
  });

  it('files that say what was built', async () => {
    const context = bench.context('oci', files);
    const [iid, metadata] = [join(bench.dir, 'iid'), join(bench.dir, 'metadata.json')];
    await bench.run([
      'build',
      '--build-context',
      `busybox=${base}`,
      '-t',
      'named',
      '--iidfile',
      iid,
      '--metadata-file',
      metadata,
      context,
    ]);
    const written = JSON.parse(readFileSync(metadata, 'utf8')) as Record<string, unknown>;
    expect(written['containerimage.config.digest']).toBe(readFileSync(iid, 'utf8'));
    const inspected = JSON.parse((await bench.run(['inspect', 'named'])).stdout) as [{ Id: string; Digest: string }];
    expect(inspected[0].Id).toBe(written['containerimage.config.digest']);
    expect(inspected[0].Digest).toBe(written['containerimage.digest']);
  });

  it('the local store: images, history, rmi', async () => {
    const context = bench.context('oci', files);
    await bench.run(['build', '--build-context', `busybox=${base}`, '-t', 'stored:v1', context]);
    expect((await bench.run(['images'])).stdout).toMatch(/stored +v1 +[0-9a-f]{12}/);
    expect((await bench.run(['history', 'stored:v1'])).stdout).toContain('COPY hello.txt /hello.txt');
    expect(await bench.run(['rmi', 'stored:v1'])).toMatchObject({ code: 0, stdout: 'Untagged: stored:v1\n' });
    expect((await bench.run(['images'])).stdout).not.toContain('stored');
    expect(await bench.run(['rmi', 'stored:v1'])).toMatchObject({ code: 4 });
  });
});

it('prints the graph without building it', async () => {
  const context = bench.context('print', { Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'a' });
  const json = await bench.run(['build', '--print', 'json', context]);
  expect(json.code).toBe(0);
  expect(json.stdout).toContain('local://context');
  const llb = await bench.runBytes(['build', '--print', 'llb', context]);
  expect(llb.stdout.equals((await bench.runBytes(['build', '--print', 'llb', context])).stdout)).toBe(true);
  mkdirSync(join(bench.dir, 'empty'), { recursive: true });
});
