/** `--load` into real daemons: today's dockerd, and the 20.10 that Debian 12 has. */
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { dockerdLacks, startDockerd, type Dockerd, type DockerRelease } from '../support/dockerd.ts';

const lacks = dockerdLacks();
const bench = new Bench();
afterAll(() => bench.dispose());

describe.each<DockerRelease>(['sid', 'bookworm'])('dockerd of %s', (release) => {
  let dockerd: Dockerd | undefined;
  afterAll(async () => {
    await dockerd?.stop();
  });

  it.skipIf(lacks !== undefined)(
    `has the image, its config and its files (${lacks ?? 'nothing'} missing)`,
    async () => {
      dockerd = await startDockerd(join(bench.dir, release), release);
      const base = `busybox=oci-layout://${busyboxLayout(bench.context(`base-${release}`, {}))}`;
      const project = bench.context(`app-${release}`, {
        Dockerfile: `FROM busybox
COPY --chown=1000:2000 file /data/
RUN rm /etc/group && ln -s file /data/link
ENV GREETING=hi
WORKDIR /data
CMD ["cat", "link"]
`,
        file: 'loaded\n',
      });
      const env = { DOCKER_HOST: dockerd.host };
      const build = async (...flags: readonly string[]) =>
        await bench.run(['build', '--build-context', base, '--load', '-t', `app:${release}`, ...flags, project], {
          env,
        });
      const built = await build();
      expect(built, built.stderr).toMatchObject({ code: 0 });
      const [shown] = JSON.parse(dockerd.docker('inspect', `app:${release}`)) as {
        Config: object;
        RootFS: { Layers: string[] };
      }[];
      expect(shown?.Config).toMatchObject({
        WorkingDir: '/data',
        Cmd: ['cat', 'link'],
        Env: ['PATH=/bin', 'GREETING=hi'],
      });
      const ours = JSON.parse(
        (await bench.run(['inspect', '-f', '{{json .RootFS.Layers}}', `app:${release}`])).stdout,
      ) as string[];
      expect(shown?.RootFS.Layers).toEqual(ours);
      const run = ['run', '--rm', '--network', 'none', `app:${release}`];
      expect(dockerd.docker(...run)).toBe('loaded\n');
      expect(dockerd.docker(...run, 'sh', '-c', 'stat -c "%u %g" file; ls /etc/group 2>&1 | grep -c "No such"')).toBe(
        '1000 2000\n1\n',
      );

      // Again with a step more: the daemon has it under the same name.
      expect(await build('--label', 'again=yes')).toMatchObject({ code: 0 });
      expect(dockerd.docker('inspect', '--format', '{{index .Config.Labels "again"}}', `app:${release}`)).toBe('yes\n');

      // What it saves is read back.
      const saved = join(bench.dir, `${release}.tar`);
      dockerd.docker('save', '--output', saved, `app:${release}`);
      const state = { SLIPWAY_ROOT: join(bench.dir, `state-${release}`) };
      const loaded = await bench.run(['load', '-i', saved], { env: state });
      expect(loaded, loaded.stderr).toMatchObject({ code: 0, stdout: `Loaded image: app:${release}\n` });
      expect((await bench.run(['run', `app:${release}`], { env: state })).stdout).toBe('loaded\n');
    },
  );
});
