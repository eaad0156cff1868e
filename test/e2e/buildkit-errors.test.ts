import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildkitBench, withDaemon } from '../support/buildkit-bench.ts';

const kit = buildkitBench();
const { bench, build } = kit;

withDaemon('errors of a daemon', () => {
  it.each([
    [
      'a step that fails',
      `FROM BASE\nRUN echo said; exit 3\n`,
      [],
      1,
      /2 \| >>> RUN echo said; exit 3[\s\S]*said\nerror: process "\/bin\/sh -c echo said; exit 3" did not complete successfully: exit code: 3/,
    ],
    [
      'a file that is not there',
      `FROM BASE\nCOPY nope /x\n`,
      [],
      1,
      /2 \| >>> COPY nope \/x[\s\S]*"nope" is not in the build context/,
    ],
    ['an excluded file', `FROM BASE\nCOPY secret.txt /x\n`, [], 1, /\.dockerignore line 1 excludes it/],
    [
      'a secret that is missing',
      `FROM BASE\nRUN --mount=type=secret,id=tok,required=true true\n`,
      [],
      2,
      /secret tok: not found\nhint: give it with --secret id=tok,src=FILE/,
    ],
    [
      'an image that is missing',
      `FROM REGISTRY/none:1\n`,
      [],
      4,
      /1 \| >>> FROM [\s\S]*there is no image [^\n]*none:1/,
    ],
    ['a Dockerfile that cannot be', `FROM BASE\nNONSENSE\n`, [], 1, /unknown instruction/i],
    ['two archives on standard output', `FROM BASE\n`, ['-o', '-', '-o', 'type=oci'], 2, /standard output/],
    ['a destination that is a directory', `FROM BASE\n`, ['-o', 'type=oci,dest=/tmp'], 1, /\/tmp is a directory/],
    ['what a daemon does anyway', `FROM BASE\n`, ['--offline'], 1, /--offline is not for a BuildKit daemon/],
    ['layers that are not here', `FROM BASE\n`, ['--squash'], 1, /a BuildKit daemon does not squash images/],
    ['what only the embedded engine does', `FROM BASE\n`, ['--jobs', '2'], 1, /--jobs is not for a BuildKit daemon/],
  ] as const)('%s', async (name, dockerfile, words, code, message) => {
    const context = bench.context(`error ${name}`, {
      Dockerfile: dockerfile.replaceAll('BASE', kit.base).replaceAll('REGISTRY', kit.registry.host),
      '.dockerignore': 'secret.txt\n',
      'secret.txt': 's',
    });
    const result = await build(['--builder', 'docker', ...words, context]);
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
    expect(result.stderr).not.toMatch(/\n\s+at .*\.[jt]s/);
  });

  it.each([
    ['a socket where nobody listens', 'unix:///var/tmp/slipway-no-such.sock', /no daemon listens at unix:/],
    ['a port where nobody listens', 'tcp://127.0.0.1:1', /no daemon listens at tcp:\/\/127\.0\.0\.1:1/],
    ['a scheme that is none', 'http://x', /schemes are unix:/],
    ['a name that is none', 'nobody', /there is no builder nobody/],
    ['a program that is missing', 'podman-container://x', /there is no program podman/],
    ['kubectl that is missing', 'kube-pod://x', /the pod x cannot be reached: there is no program kubectl/],
    [
      'docker that is missing',
      'docker-container://x',
      /container x [^\n]*cannot be reached: there is no program docker/,
    ],
    ['ssh that is missing', 'ssh://x', /there is no program ssh/],
  ] as const)('%s', async (_name, url, message) => {
    const result = await build(
      ['--builder', url, bench.context('any', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' })],
      { PATH: '/nowhere' },
    );
    expect(result.stderr).toMatch(message);
    expect([2, 6]).toContain(result.code);
  });

  it('a socket without permission', async () => {
    const socket = join(bench.dir, 'closed.sock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    chmodSync(socket, 0);
    chmodSync(bench.dir, 0o755);
    const copy = join(bench.dir, 'nobody');
    mkdirSync(copy);
    writeFileSync(join(copy, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
    // Root may open it: somebody else tries.
    const result = spawnSync(
      'setpriv',
      [
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        process.execPath,
        join(import.meta.dirname, '../../bin/slipway.js'),
        'build',
        '--builder',
        `unix://${socket}`,
        copy,
      ],
      {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], HOME: '/nonexistent', SLIPWAY_ROOT: join(bench.dir, 'nobody-root') },
      },
    );
    server.close();
    expect(result.stderr).toMatch(/may not be opened: permission denied/);
    expect(result.status).toBe(3);
  });
});
