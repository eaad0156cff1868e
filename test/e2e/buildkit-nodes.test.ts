import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildkitBench, withDaemon } from '../support/buildkit-bench.ts';
import { startDockerd, type Dockerd } from '../support/dockerd.ts';
import { imageContents } from '../support/image-content.ts';

const kit = buildkitBench();
const { bench, build } = kit;

withDaemon('several nodes', () => {
  const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n';
  const files = { Dockerfile: dockerfile, amd64: 'amd64', arm64: 'arm64' };

  it('build a platform each, and the result is one index', async () => {
    await bench.run(['builder', 'add', 'pair', `docker://${kit.dockerd.host}`, '--platform', 'linux/amd64']);
    await bench.run(['builder', 'add', 'pair', 'docker://', '--platform', 'linux/arm64']);
    const context = bench.context('nodes', files);
    const image = `${kit.registry.host}/team/multi:1`;
    const layout = join(bench.dir, 'multi-layout');
    const dir = join(bench.dir, 'multi-dir');
    const words = [
      '--builder',
      'pair',
      '--platform',
      'linux/amd64,linux/arm64',
      '-t',
      image,
      '-o',
      `type=image,push=true,registry.insecure=true`,
    ];
    const notes = ['--annotation', 'index:on=the index', '--annotation', 'on=a manifest'];
    const result = await build([...words, ...notes, '-o', `type=oci,tar=false,dest=${layout}`, '-o', dir, context]);
    expect(result.code, result.stderr).toBe(0);
    // Parts have no name in the store of their node.
    expect(kit.dockerd.docker('images', '--quiet')).toBe('');
    const raw = (ref: string): unknown =>
      JSON.parse(execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${ref}`]).toString());
    const index = raw(image) as { readonly manifests: readonly { readonly digest: string }[] };
    expect(index).toMatchObject({ annotations: { on: 'the index' } });
    expect(raw(`${kit.registry.host}/team/multi@${index.manifests[0]?.digest ?? ''}`)).toMatchObject({
      annotations: { on: 'a manifest' },
    });
    const contents = await imageContents(layout);
    expect(contents.map(({ platform }) => platform).sort()).toEqual(['linux/amd64', 'linux/arm64']);
    expect(new Set(contents.map(({ files: found }) => found['arch'])).size).toBe(2);
    expect(readFileSync(join(dir, 'linux_arm64/arch'), 'utf8')).toBe('arm64');
    expect(readFileSync(join(dir, 'linux_amd64/arch'), 'utf8')).toBe('amd64');
    for (const arch of ['amd64', 'arm64']) {
      const inspected = execFileSync(
        'skopeo',
        ['inspect', '--tls-verify=false', '--override-arch', arch, `docker://${image}`],
        { encoding: 'utf8' },
      );
      expect(JSON.parse(inspected)).toMatchObject({ Architecture: arch });
    }
    const tar = join(bench.dir, 'multi.tar');
    const archived = await build([
      '--builder',
      'pair',
      '--platform',
      'linux/amd64,linux/arm64',
      '-o',
      `type=oci,dest=${tar}`,
      context,
    ]);
    expect(archived.code, archived.stderr).toBe(0);
    const unpacked = join(bench.dir, 'multi-tar');
    mkdirSync(unpacked);
    execFileSync('tar', ['-xf', tar, '-C', unpacked]);
    expect((await imageContents(unpacked)).map(({ platform }) => platform).sort()).toEqual([
      'linux/amd64',
      'linux/arm64',
    ]);
  });

  it('stand in for each other; a platform that is lost with its node is an error', async () => {
    const context = bench.context('lost', files);
    await bench.run(['builder', 'add', 'shaky', 'tcp://127.0.0.1:1', 'docker://']);
    const finished = await build(['--builder', 'shaky', '-o', join(bench.dir, 'shaky'), context]);
    expect(finished.code, finished.stderr).toBe(0);
    expect(finished.stderr).toMatch(/node shaky0 is lost: no daemon listens/);
    await bench.run(['builder', 'add', 'torn', 'docker://', '--platform', 'linux/amd64']);
    await bench.run(['builder', 'add', 'torn', 'tcp://127.0.0.1:1', '--platform', 'linux/arm64']);
    const out = join(bench.dir, 'torn-out');
    const failed = await build(['--builder', 'torn', '--platform', 'linux/amd64,linux/arm64', '-o', out, context]);
    expect(failed.code).toBe(6);
    expect(failed.stderr).toMatch(
      /torn1: no daemon listens[^\n]*\nerror: no node of the builder builds for linux\/arm64/,
    );
    expect(existsSync(out)).toBe(false);
  });

  describe('make stages of one build', () => {
    let helper: Dockerd;
    beforeAll(async () => {
      helper = await startDockerd(join(bench.dir, 'helper'));
      await bench.run(['builder', 'add', 'duo', `docker://${kit.dockerd.host}`, `docker://${helper.host}`]);
    });
    afterAll(async () => await helper.stop());
    /** Says by the mounts of a step on which daemon it runs. */
    const where = `grep -o '/\\(dockerd\\|helper\\)/data' /proc/self/mounts | head -n 1 | cut -d/ -f2`;
    const stages = (one: string, two: string): string => `FROM ${kit.base} AS one
RUN ${one}
FROM ${kit.base} AS two
COPY x /x
RUN ${two}
FROM ${kit.base}
COPY --from=one /made/in /made/one
COPY --from=two /made/link/* /made/
COPY --from=two --chown=1:2 /made/link /made/copied
RUN cat /made/one /made/two > /made/both
`;

    it('each on its own node, and what is taken from them is what it was', async () => {
      const make = 'mkdir -p /made/real; cd /made; ln -s /made/real link; ln -s ../in real/two; chmod 711 real';
      const context = bench.context('duo', {
        Dockerfile: stages(`mkdir /made; ${where} > /made/in`, `${make}; ${where} > in; chown 5:6 in; chmod 4711 in`),
        x: 'x',
      });
      const out = join(bench.dir, 'duo-out');
      const result = await build(['--builder', 'duo', '-o', out, context]);
      expect(result.code, result.stderr).toBe(0);
      expect(readFileSync(join(out, 'made/both'), 'utf8').split('\n').sort()).toEqual(['', 'dockerd', 'helper']);
      expect(result.stderr).toMatch(/take \/made[^\n]* from duo[01]/);
      const [one, two] = await Promise.all(
        ['duo', `docker://${helper.host}`].map(async (builder, i) => {
          const layout = join(bench.dir, `duo-layout-${i}`);
          const built = await build(['--builder', builder, '-o', `type=oci,tar=false,dest=${layout}`, context]);
          expect(built.code, built.stderr).toBe(0);
          const [image] = await imageContents(layout);
          // On which node a stage ran is what they differ in.
          const files = Object.entries(image?.files ?? {}).map(([path, line]) => [
            path,
            /^made\/(one|two|both|copied\/two)$/.test(path) ? line.split(' ').slice(0, 3) : line,
          ]);
          return { ...image, files };
        }),
      );
      expect(one).toEqual(two);
    });

    it('unless a helper is lost, which the others stand in for', async () => {
      const context = bench.context('duo-lost', {
        Dockerfile: stages(
          `mkdir /made; ${where} > /made/in`,
          'echo running; sleep 3; mkdir -p /made/link; touch /made/link/two',
        ),
        x: 'lost',
      });
      const victim = await startDockerd(join(bench.dir, 'victim-helper'));
      await bench.run(['builder', 'add', 'brittle', `docker://${kit.dockerd.host}`, `docker://${victim.host}`]);
      const child = bench.start(['build', '--network', 'host', '--progress', 'plain', '--builder', 'brittle', context]);
      let stderr = '';
      let killed: Promise<void> | undefined;
      child.stderr?.on('data', (data: Buffer) => {
        stderr += data.toString('utf8');
        if (/#\d+ [\d.]+ running/.test(stderr)) killed ??= victim.kill();
      });
      const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
      await killed;
      await victim.stop();
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/node brittle[01] (is lost|makes no stage): the connection to/);
    });

    it('or one fails: then nothing goes on', async () => {
      const context = bench.context('duo-fails', {
        Dockerfile: stages('sleep 20', 'echo said; exit 7'),
        x: 'fails',
      });
      const out = join(bench.dir, 'duo-fails-out');
      const result = await build(['--builder', 'duo', '-o', out, context]);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/said\nerror: process "\/bin\/sh -c echo said; exit 7" did not complete/);
      expect(result.stderr).not.toMatch(/RUN sleep 20\n#\d+ DONE/);
      expect(existsSync(out)).toBe(false);
    });
  });

  it('refuse what cannot be one result', async () => {
    const context = bench.context('refuse', files);
    for (const [words, message] of [
      [['-t', 'x'], /an image that stays with the daemon cannot come from several nodes/],
      [['-o', 'type=tar,dest=x.tar'], /an output of type tar cannot come from several nodes/],
      [['-o', 'type=cacheonly', '--cache-to', 'type=registry,ref=x'], /one build cache cannot come/],
    ] as const) {
      const result = await build(['--builder', 'pair', '--platform', 'linux/amd64,linux/arm64', ...words, context]);
      expect(result.stderr).toMatch(message);
      expect(result.code).toBe(2);
    }
  });
});
