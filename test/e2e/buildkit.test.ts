import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { bridgePort, bridgePrograms, bridgeSocket, bridgeTls, type Bridge } from '../support/buildkit-bridge.ts';
import { buildkitdLacks, startBuildkitd } from '../support/buildkitd.ts';
import { Bench } from '../support/cli.ts';
import { dockerdLacks, startDockerd, type Dockerd } from '../support/dockerd.ts';
import { imageContents } from '../support/image-content.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const lacks = dockerdLacks();
const bench = new Bench();
let registry: TestRegistry;
let dockerd: Dockerd;
let base = '';

beforeAll(async () => {
  bench.env['SLIPWAY_CONFIG'] = join(bench.dir, 'config');
  if (lacks !== undefined) return;
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  base = `${registry.host}/library/busybox`;
  dockerd = await startDockerd(join(bench.dir, 'dockerd'));
  bench.env['DOCKER_HOST'] = dockerd.host;
});
afterAll(async () => {
  if (lacks === undefined) {
    await dockerd.stop();
    await registry.stop();
  }
  bench.dispose();
});

const build = async (
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin?: Uint8Array | string,
) =>
  await bench.run(['build', '--network', 'host', '--progress', 'plain', ...words], {
    env,
    ...(stdin !== undefined && { stdin }),
  });

const withDaemon = (name: string, tests: () => void): void => {
  describe.skipIf(lacks !== undefined)(lacks === undefined ? name : `${name} (this machine lacks ${lacks})`, tests);
};

withDaemon('a build on the BuildKit of Docker', () => {
  it('becomes an image of Docker, and says which engine made it', async () => {
    const context = bench.context('docker', {
      Dockerfile: `FROM ${base}\nRUN echo built > /file\nCMD ["cat", "/file"]\n`,
    });
    const iid = join(bench.dir, 'iid');
    const metadata = join(bench.dir, 'metadata.json');
    const result = await build([
      '--builder',
      'docker',
      '-t',
      'on-docker:1',
      '--iidfile',
      iid,
      '--metadata-file',
      metadata,
      context,
    ]);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toMatch(/building with the buildkit engine: the Docker daemon at unix:/);
    const inspected = JSON.parse(dockerd.docker('image', 'inspect', 'on-docker:1')) as [{ Config: { Cmd: string[] } }];
    expect(inspected[0].Config.Cmd).toEqual(['cat', '/file']);
    // What Node warns of by itself is no part of a build.
    expect(result.stderr).not.toContain('Warning');
    const written = JSON.parse(readFileSync(metadata, 'utf8')) as Record<string, unknown>;
    expect(readFileSync(iid, 'utf8')).toBe(written['containerimage.config.digest']);
    expect(written['containerimage.descriptor']).toMatchObject({ digest: written['containerimage.digest'] });
    expect(result.stderr).toMatch(/image sha256:\w+ \(sizes not known: the daemon does not tell\)/);
    const again = await build(['--builder', 'docker', '-t', 'on-docker:1', context]);
    expect(again.stderr).toMatch(/RUN echo built[^\n]*\n#\d+ CACHED/);
  });

  it('writes every kind of output here', async () => {
    const context = bench.context('outputs', {
      Dockerfile: `FROM ${base} AS build\nRUN mkdir -p /out/d && echo x > /out/d/x && ln -s d/x /out/link && chmod 750 /out/d\nFROM scratch\nCOPY --from=build /out /\n`,
    });
    const dir = join(bench.dir, 'out-dir');
    mkdirSync(dir);
    writeFileSync(join(dir, 'mine'), 'stays');
    const oci = join(bench.dir, 'out.oci.tar');
    const docker = join(bench.dir, 'out.docker.tar');
    const tar = join(bench.dir, 'out.tar');
    const outputs = [dir, `type=oci,dest=${oci}`, `type=docker,name=out:1,dest=${docker}`, `type=tar,dest=${tar}`];
    const result = await build(['--builder', 'docker', ...outputs.flatMap((output) => ['-o', output]), context]);
    expect(result.code, result.stderr).toBe(0);
    expect(readdirSync(dir).sort()).toEqual(['d', 'link', 'mine']);
    expect(readFileSync(join(dir, 'link'), 'utf8')).toBe('x\n');
    expect(execFileSync('stat', ['-c', '%a', join(dir, 'd')], { encoding: 'utf8' })).toBe('750\n');
    expect(execFileSync('tar', ['-tf', tar], { encoding: 'utf8' })).toContain('d/x');
    expect(execFileSync('tar', ['-tf', docker], { encoding: 'utf8' })).toContain('manifest.json');
    expect(execFileSync('tar', ['-xOf', oci, 'oci-layout'], { encoding: 'utf8' })).toContain('1.0.0');
    const piped = await bench.runBytes(['build', '--network', 'host', '--builder', 'docker', '-o', '-', context]);
    expect(piped.stdout.equals(readFileSync(tar))).toBe(true);
    const emptied = await build(['--builder', 'docker', '-o', `type=local,mode=delete,dest=${dir}`, context]);
    expect(emptied.code, emptied.stderr).toBe(0);
    expect(readdirSync(dir).sort()).toEqual(['d', 'link']);
  });

  it('pushes with the credentials of this machine, and reads and writes build caches', async () => {
    const context = bench.context('push', {
      Dockerfile: `FROM ${base}\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n`,
    });
    const image = `${registry.host}/team/app:1`;
    const cache = join(bench.dir, 'cache');
    const first = await build([
      '--builder',
      'docker',
      '-t',
      image,
      '--push',
      '--cache-to',
      `type=local,dest=${cache},mode=max`,
      context,
    ]);
    expect(first.code, first.stderr).toBe(0);
    const inspected = execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${image}`], {
      encoding: 'utf8',
    });
    dockerd.docker('builder', 'prune', '--all', '--force');
    const again = await build([
      '--builder',
      'docker',
      '-t',
      image,
      '--push',
      '--cache-from',
      `type=local,src=${cache}`,
      context,
    ]);
    expect(again.code, again.stderr).toBe(0);
    const after = execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${image}`], { encoding: 'utf8' });
    const layers = (text: string): unknown => (JSON.parse(text) as { Layers: unknown }).Layers;
    expect(layers(after)).toEqual(layers(inspected));
    const registryCache = `type=registry,ref=${registry.host}/team/cache,registry.insecure=true`;
    expect(
      (await build(['--builder', 'docker', '--cache-to', registryCache, '-o', 'type=cacheonly', context])).code,
    ).toBe(0);
  });

  it('reads and pushes what wants a login, with that of this machine', async () => {
    const users = 'alice:$2b$12$mhwVmKL931UgNjzACT7KFu6wb6MpQy6BSGNZTwj/pL/mEgEXcSexe\n';
    const closed = await startRegistry(join(bench.dir, 'closed-registry'), users);
    try {
      const context = bench.context('login', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
      const image = `${closed.host}/team/app:1`;
      const words = ['--builder', 'docker', '-t', image, '--push', context];
      const refused = await build(words);
      expect(refused.code, refused.stderr).toBe(4);
      expect(refused.stderr.match(/^error: /gm)).toHaveLength(1);
      const config = join(bench.dir, 'with-login');
      mkdirSync(config);
      const auth = Buffer.from('alice:s3cret').toString('base64');
      writeFileSync(join(config, 'config.json'), JSON.stringify({ auths: { [closed.host]: { auth } } }));
      const pushed = await build(words, { DOCKER_CONFIG: config });
      expect(pushed.code, pushed.stderr).toBe(0);
      expect(pushed.stderr).not.toContain(auth);
      const from = bench.context('login-from', { Dockerfile: `FROM ${image}\nCOPY Dockerfile /again\n` });
      const out = join(bench.dir, 'login-out');
      const read = await build(['--builder', 'docker', '--pull', '-o', out, from], { DOCKER_CONFIG: config });
      expect(read.code, read.stderr).toBe(0);
      expect(readdirSync(out).sort()).toEqual(['Dockerfile', 'again']);
    } finally {
      await closed.stop();
    }
  });

  it('sends the context once, then only what changed', async () => {
    const context = bench.context('transfer', {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      'big.bin': Buffer.alloc(8 << 20, 'x'),
      small: '1',
    });
    const first = await build(['--builder', 'docker', '-o', 'type=cacheonly', context]);
    expect(first.stderr).toMatch(/transferring context: 8\.39MB/);
    writeFileSync(join(context, 'small'), '22');
    const second = await build(['--builder', 'docker', '-o', 'type=cacheonly', context]);
    expect(second.stderr).toMatch(/transferring context: \d+B/);
    expect(second.stderr).not.toMatch(/8\.39MB/);
  });

  it('takes contexts from layouts, archives on standard input, and repositories', async () => {
    const layout = await build(
      [
        '--builder',
        'docker',
        '--build-context',
        `base=oci-layout://${join(bench.dir, 'busybox-layout')}:latest`,
        '-o',
        join(bench.dir, 'from-layout'),
        '-',
      ],
      {},
      'FROM base AS b\nRUN echo from a layout > /f\nFROM scratch\nCOPY --from=b /f /f\n',
    );
    expect(layout.code, layout.stderr).toBe(0);
    expect(readFileSync(join(bench.dir, 'from-layout/f'), 'utf8')).toBe('from a layout\n');

    const dir = bench.context('tarred', { 'sub/Dockerfile': 'FROM scratch\nCOPY sub/x /x\n', 'sub/x': 'from a tar' });
    const tar = execFileSync('tar', ['-C', dir, '-czf', '-', '.']);
    const piped = await build(
      ['--builder', 'docker', '-f', 'sub/Dockerfile', '-o', join(bench.dir, 'from-tar'), '-'],
      {},
      tar,
    );
    expect(piped.code, piped.stderr).toBe(0);
    expect(readFileSync(join(bench.dir, 'from-tar/x'), 'utf8')).toBe('from a tar');
  });

  it('gives secrets and ssh agents to steps that ask, and to no log', async () => {
    const context = bench.context('secrets', {
      Dockerfile: `FROM ${base}\nRUN --mount=type=secret,id=s cat /run/secrets/s && wc -c < /run/secrets/s > /size\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo "$SSH_AUTH_SOCK" > /socket\n`,
    });
    const socket = join(bench.dir, 'agent.sock');
    const agent = createServer();
    await new Promise<void>((resolve) => agent.listen(socket, resolve));
    const result = await build(
      ['--builder', 'docker', '--secret', 'id=s,env=S', '--ssh', `default=${socket}`, '-o', 'type=cacheonly', context],
      {
        S: 'value-that-nobody-may-see',
      },
    );
    agent.close();
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).not.toContain('value-that-nobody-may-see');
    expect(result.stderr).toContain('*****');
  });

  it('says why steps ran, from its own records', async () => {
    const context = bench.context('why', { Dockerfile: `FROM ${base}\nCOPY a /a\nRUN cat /a\n`, a: '1' });
    await build(['--builder', 'docker', '-o', 'type=cacheonly', context]);
    writeFileSync(join(context, 'a'), '2');
    const result = await build(['--builder', 'docker', '--explain', '-o', 'type=cacheonly', context]);
    expect(result.stderr).toMatch(/COPY a \/a\n\s+a changed/);
    expect(result.stderr).toMatch(/RUN cat \/a\n\s+parent step line 2: a changed/);
  });
});

withDaemon('what stages weigh', () => {
  it('is asked of the daemon when it is wanted', async () => {
    const context = bench.context('weights', {
      Dockerfile: `FROM scratch AS given\nCOPY big small /d/\nFROM scratch AS result\nCOPY --from=given /d/small /\nFROM result\nCOPY more /\n`,
      big: Buffer.alloc(100_000, 'b'),
      small: 's'.repeat(1000),
      more: 'm'.repeat(500),
    });
    const result = await build(['--builder', 'docker', '--stage-sizes', '-o', 'type=cacheonly', context]);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toMatch(/^given 101 ?kB built, not known what shipped$/m);
    expect(result.stderr).toMatch(/^result 1(\.0+)? ?kB built, 1(\.0+)? ?kB shipped$/m);
    expect(result.stderr).toMatch(/^stage-2 1\.50? ?kB built, 1\.50? ?kB shipped$/m);
    const { stdout } = await bench.run(['diff', '--json', 'latest', 'latest']);
    expect(JSON.parse(stdout)).toMatchObject({ stages: [] });
  });
});

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
      Dockerfile: dockerfile.replaceAll('BASE', base).replaceAll('REGISTRY', registry.host),
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

withDaemon('ways to a daemon', () => {
  const bridges: Bridge[] = [];
  const keep = (bridge: Bridge): Bridge => {
    bridges.push(bridge);
    return bridge;
  };
  afterAll(async () => {
    for (const bridge of bridges) await bridge.close();
  });
  const context = (): string => bench.context('ways', { Dockerfile: 'FROM scratch\nCOPY x /x\n', x: 'arrived' });
  const arrives = async (url: string, env: Readonly<Record<string, string>> = {}): Promise<void> => {
    const out = join(bench.dir, 'arrived');
    rmSync(out, { recursive: true, force: true });
    const result = await build(['--builder', url, '-o', out, context()], env);
    expect(result.code, result.stderr).toBe(0);
    expect(readFileSync(join(out, 'x'), 'utf8')).toBe('arrived');
  };

  it('sockets and ports', async () => {
    await arrives(keep(await bridgeSocket(dockerd.host, join(bench.dir, 'bk.sock'))).url);
    const port = keep(await bridgePort(dockerd.host)).url;
    await arrives(port);
    await arrives('docker://' + dockerd.host);
    const byEnvironment = await build(['-o', join(bench.dir, 'env'), context()], {
      SLIPWAY_ENGINE: 'buildkit',
      BUILDKIT_HOST: port,
    });
    expect(byEnvironment.stderr).toContain(`building with the buildkit engine: ${port}`);
  });

  it('TLS, with certificates of both sides', async () => {
    const tls = join(bench.dir, 'tls');
    const { url } = keep(await bridgeTls(dockerd.host, tls));
    const file = (name: string): string => join(tls, name);
    await arrives(`${url}?ca=${file('ca.pem')}&cert=${file('client.pem')}&key=${file('client-key.pem')}`);
    const fails = async (query: string): Promise<string> => {
      const result = await build(['--builder', `${url}${query}`, context()]);
      expect(result.code).toBe(6);
      return result.stderr;
    };
    expect(await fails(`?ca=${file('other-ca.pem')}&cert=${file('client.pem')}&key=${file('client-key.pem')}`)).toMatch(
      /certificate of tcp:[^\n]* is not accepted/,
    );
    expect(await fails(`?ca=${file('ca.pem')}`)).toMatch(/error: (TLS with|the connection to|tcp:)/);
    expect(await fails('')).toMatch(/error: the connection to tcp:[^\n]* was lost/);
    expect(await fails(`?ca=${file('none.pem')}`)).toMatch(/none\.pem for TLS cannot be read/);
  });

  it('programs: containers, pods, ssh', async () => {
    const { url } = keep(await bridgeSocket(dockerd.host, join(bench.dir, 'bk2.sock')));
    const bin = bridgePrograms(bench.dir, url.replace('unix://', ''));
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    const asked = (name: string): string =>
      readFileSync(join(bin, `${name}.args`), 'utf8')
        .trim()
        .split('\n')
        .join(' ');
    await arrives('docker-container://buildkitd', env);
    expect(asked('docker')).toBe('exec -i buildkitd buildctl dial-stdio');
    await arrives('podman-container://buildkitd', env);
    expect(asked('podman')).toBe('exec -i buildkitd buildctl dial-stdio');
    await arrives('kube-pod://buildkit-0?namespace=build&container=buildkitd', env);
    expect(asked('kubectl')).toBe('--namespace build exec -i -c buildkitd buildkit-0 -- buildctl dial-stdio');
    // As `docker buildx create --driver docker-container` keeps it.
    const instances = join(bench.dir, 'docker/buildx/instances');
    mkdirSync(instances, { recursive: true });
    const node = { Name: 'team0', Endpoint: 'unix:///var/run/docker.sock' };
    writeFileSync(join(instances, 'team'), JSON.stringify({ Name: 'team', Driver: 'docker-container', Nodes: [node] }));
    await arrives('team', env);
    expect(asked('docker')).toBe(
      '--host unix:///var/run/docker.sock exec -i buildx_buildkit_team0 buildctl dial-stdio',
    );
    rmSync(join(instances, 'team'));
    await arrives('ssh://me@far:2222', env);
    expect(asked('ssh')).toMatch(/^-l me -p 2222 .* -- far buildctl dial-stdio$/);
  });

  it('a pod that is not ready says so', async () => {
    const bin = join(bench.dir, 'no-pod');
    mkdirSync(bin);
    writeFileSync(
      join(bin, 'kubectl'),
      '#!/bin/sh\necho "error: unable to upgrade connection: container not found (\\"buildkitd\\")" >&2\nexit 1\n',
    );
    chmodSync(join(bin, 'kubectl'), 0o755);
    const result = await build(['--builder', 'kube-pod://buildkit-0', context()], {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    });
    expect(result.code).toBe(6);
    expect(result.stderr).toMatch(
      /unable to upgrade connection[^\n]*\nerror: the pod buildkit-0 cannot be reached: kubectl ended with exit code 1\nhint: it is not ready/,
    );
  });

  it('pods by their label: the same one for the same project', async () => {
    const { url } = keep(await bridgeSocket(dockerd.host, join(bench.dir, 'bk3.sock')));
    const bin = bridgePrograms(join(bench.dir, 'pods'), url.replace('unix://', ''));
    const pod = (name: string, ready: string) => ({
      metadata: { name },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready }] },
    });
    writeFileSync(
      join(bin, 'pods.json'),
      JSON.stringify({ items: [pod('bk-0', 'True'), pod('bk-1', 'True'), pod('bk-2', 'False')] }),
    );
    const pipe = readFileSync(join(bin, 'kubectl'), 'utf8').replace(
      'exec ',
      `case "$*" in *'get pods'*) cat '${bin}/pods.json'; exit;; esac\nexec `,
    );
    writeFileSync(join(bin, 'kubectl'), pipe);
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    const chosen = async (): Promise<string | undefined> => {
      await arrives('kube-pod://?selector=app=buildkit', env);
      return /bk-\d/.exec(readFileSync(join(bin, 'kubectl.args'), 'utf8'))?.[0];
    };
    const first = await chosen();
    expect(first).toMatch(/bk-[01]/);
    expect(await chosen()).toBe(first);
  });
});

withDaemon('builders', () => {
  it('are added, used, listed and forgotten', async () => {
    const env = { SLIPWAY_CONFIG: join(bench.dir, 'config-builders') };
    const builder = async (...words: readonly string[]) => await bench.run(['builder', ...words], { env });
    expect(await builder('add', 'farm', 'docker://', 'tcp://127.0.0.1:1', '--use')).toMatchObject({ code: 0 });
    const listed = (await builder('ls')).stdout;
    expect(listed).toMatch(/^farm \*\s+docker:\/\/\s+up/m);
    expect(listed).toMatch(/tcp:\/\/127\.0\.0\.1:1\s+down/);
    expect((await bench.run(['version'], { env })).stdout).toMatch(/^engine buildkit \(farm docker:\/\/ tcp:/m);
    expect((await builder('inspect', 'farm')).stdout).toMatch(/platforms linux\/amd64|platforms linux\/arm64/);
    expect((await builder('du', 'docker')).stdout).toMatch(/total/);
    expect((await builder('prune', 'docker')).stdout).toMatch(/removed \d+ records/);
    expect((await builder('use', 'embedded')).code).toBe(0);
    expect((await bench.run(['version'], { env })).stdout).toMatch(/^engine embedded$/m);
    expect((await builder('rm', 'farm')).code).toBe(0);
    expect(await builder('rm', 'farm')).toMatchObject({ code: 2 });
    expect(await builder('add', '-x', 'docker://')).toMatchObject({ code: 2 });
    expect(await builder('frobnicate')).toMatchObject({ code: 2 });
  });

  it('of docker buildx are listed and used', async () => {
    const instances = join(bench.dir, 'docker/buildx/instances');
    mkdirSync(instances, { recursive: true });
    const write = (name: string, driver: string, node: object): void =>
      writeFileSync(
        join(instances, name),
        JSON.stringify({ Name: name, Driver: driver, Nodes: [{ Name: `${name}0`, ...node }] }),
      );
    write('far', 'remote', { Endpoint: 'tcp://127.0.0.1:1', DriverOpts: { cacert: '/ca.pem' } });
    write('boxed', 'docker-container', { Endpoint: 'unix:///var/run/docker.sock' });
    write('cluster', 'kubernetes', {
      Endpoint: 'kubernetes:///cluster?deployment=bk&kubeconfig=',
      DriverOpts: { namespace: 'ci' },
    });
    const { stdout } = await bench.run(['builder', 'ls', '--json'], { env: { PATH: '/nowhere' } });
    const { builders } = JSON.parse(stdout) as { builders: { name: string; from: string; nodes: { url: string }[] }[] };
    const urls = Object.fromEntries(builders.map(({ name, nodes }) => [name, nodes.map(({ url }) => url)]));
    expect(urls).toMatchObject({
      far: ['tcp://127.0.0.1:1?ca=%2Fca.pem'],
      boxed: ['docker-container://buildx_buildkit_boxed0?host=unix%3A%2F%2F%2Fvar%2Frun%2Fdocker.sock'],
      cluster: ['kube-pod://?selector=app%3Dbk&namespace=ci'],
    });
    expect(builders.find(({ name }) => name === 'far')?.from).toBe('buildx');
    expect(await bench.run(['builder', 'rm', 'far'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('docker buildx rm far') as string,
    });
  });
});

withDaemon('several nodes', () => {
  const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n';
  const files = { Dockerfile: dockerfile, amd64: 'amd64', arm64: 'arm64' };

  it('build a platform each, and the result is one index', async () => {
    await bench.run(['builder', 'add', 'pair', `docker://${dockerd.host}`, '--platform', 'linux/amd64']);
    await bench.run(['builder', 'add', 'pair', 'docker://', '--platform', 'linux/arm64']);
    const context = bench.context('nodes', files);
    const image = `${registry.host}/team/multi:1`;
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
    const raw = (ref: string): unknown =>
      JSON.parse(execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${ref}`]).toString());
    const index = raw(image) as { readonly manifests: readonly { readonly digest: string }[] };
    expect(index).toMatchObject({ annotations: { on: 'the index' } });
    expect(raw(`${registry.host}/team/multi@${index.manifests[0]?.digest ?? ''}`)).toMatchObject({
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
      if (lacks !== undefined) return;
      helper = await startDockerd(join(bench.dir, 'helper'));
      await bench.run(['builder', 'add', 'duo', `docker://${dockerd.host}`, `docker://${helper.host}`]);
    });
    afterAll(async () => {
      if (lacks === undefined) await helper.stop();
    });
    /** Says by the mounts of a step on which daemon it runs. */
    const where = `grep -o '/\\(dockerd\\|helper\\)/data' /proc/self/mounts | head -n 1 | cut -d/ -f2`;
    const stages = (one: string, two: string): string => `FROM ${base} AS one
RUN ${one}
FROM ${base} AS two
COPY x /x
RUN ${two}
FROM ${base}
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
      await bench.run(['builder', 'add', 'brittle', `docker://${dockerd.host}`, `docker://${victim.host}`]);
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

withDaemon('accidents', () => {
  const slow = (): string =>
    bench.context('slow', { Dockerfile: `FROM ${base}\nRUN echo running; sleep 60\n`, x: 'x' });

  /** Starts a build, does something to it once its step runs, and waits for its end. */
  async function disturb(
    words: readonly string[],
    disturbance: (child: ReturnType<Bench['start']>) => void | Promise<void>,
  ) {
    const child = bench.start(['build', '--network', 'host', '--progress', 'plain', '--no-cache', ...words, slow()]);
    let stderr = '';
    let disturbed: Promise<void> | undefined;
    child.stderr?.on('data', (data: Buffer) => {
      stderr += data.toString('utf8');
      if (/#\d+ [\d.]+ running/.test(stderr)) disturbed ??= Promise.resolve(disturbance(child));
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    await disturbed;
    return { code, stderr };
  }

  it('the connection is cut: one error, nothing written', async () => {
    const bridge = await bridgePort(dockerd.host);
    const out = join(bench.dir, 'cut.tar');
    const result = await disturb(['--builder', bridge.url, '-o', `type=oci,dest=${out}`], () => bridge.cut());
    await bridge.close();
    expect(result.code).toBe(6);
    expect(result.stderr).toMatch(/error: the connection to tcp:[^\n]* was lost/);
    expect(readdirSync(bench.dir).filter((name) => name.includes('cut.tar'))).toEqual([]);
  });

  it('Ctrl-C ends the build on the daemon too', async () => {
    const result = await disturb(['--builder', 'docker'], (child) => void child.kill('SIGINT'));
    expect(result.code).toBe(130);
    const { stdout } = await bench.run(['builder', 'inspect', 'docker']);
    expect(stdout).toMatch(/builds\s+0 under way/);
  });

  it('the daemon is killed: one error', async () => {
    const victim = await startDockerd(join(bench.dir, 'victim'));
    const result = await disturb(['--builder', `docker://${victim.host}`], async () => await victim.kill());
    expect(result.code).toBe(6);
    expect(result.stderr).toMatch(/error: the connection to [^\n]* was lost/);
  });

  it('the disk of the daemon is full: said as such', async () => {
    const dir = join(bench.dir, 'full');
    mkdirSync(dir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', dir]);
    const victim = await startDockerd(dir);
    try {
      const context = bench.context('filling', {
        Dockerfile: `FROM ${base}\nRUN dd if=/dev/zero of=/big bs=1M count=200\n`,
      });
      const result = await build(['--builder', `docker://${victim.host}`, '-o', 'type=cacheonly', context]);
      expect(result.stderr).toMatch(/No space left on device|no space left/i);
      expect([1, 5]).toContain(result.code);
      const other = bench.context('filling-2', {
        Dockerfile: 'FROM scratch\nCOPY big /\n',
        big: Buffer.alloc(100 << 20),
      });
      const sent = await build(['--builder', `docker://${victim.host}`, '-o', 'type=cacheonly', other]);
      expect(sent.stderr).toMatch(/error: [^\n]*no space left/i);
      expect(sent.code).toBe(5);
    } finally {
      await victim.stop();
      execFileSync('umount', ['-l', dir]);
    }
  });

  it('the disk here is full: the output is not there', async () => {
    const dir = join(bench.dir, 'small');
    mkdirSync(dir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]);
    try {
      const context = bench.context('large', {
        Dockerfile: 'FROM scratch\nCOPY big /\n',
        big: Buffer.alloc(4 << 20, 'q'),
      });
      const file = await build(['--builder', 'docker', '-o', `type=tar,dest=${join(dir, 'x.tar')}`, context]);
      expect(file.code, file.stderr).toBe(5);
      expect(readdirSync(dir)).toEqual([]);
      const local = await build(['--builder', 'docker', '-o', join(dir, 'out'), context]);
      expect(local.code, local.stderr).toBe(5);
      expect(readdirSync(join(dir, 'out'))).toEqual([]);
    } finally {
      execFileSync('umount', ['-l', dir]);
    }
  });
});

withDaemon('the BuildKit of Docker 20.10', () => {
  let old: Dockerd;
  beforeAll(async () => {
    if (lacks === undefined) old = await startDockerd(join(bench.dir, 'old'), 'bookworm');
  });
  afterAll(async () => {
    if (lacks === undefined) await old.stop();
  });
  const on = (): string => `docker://${old.host}`;

  it('builds what it can, by other words where it must', async () => {
    const context = bench.context('old', {
      Dockerfile: `FROM ${base} AS build\nCOPY --link a /linked/\nRUN --mount=type=cache,target=/c echo run > /ran\nCOPY <<E /here\ntext\nE\nFROM scratch\nCOPY --from=build /linked /ran /here /\n`,
      a: 'a',
    });
    const out = join(bench.dir, 'old-out');
    const result = await build(['--builder', on(), '-o', out, context]);
    expect(result.code, result.stderr).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['a', 'here', 'ran']);
    const named = await build(['--builder', on(), '-t', 'old:1', context]);
    expect(named.code, named.stderr).toBe(0);
    expect(old.docker('images', '--quiet', 'old:1')).not.toBe('');
    const image = `${registry.host}/old/pushed:1`;
    const pushed = await build(['--builder', on(), '-t', image, '--push', context]);
    expect(pushed.code, pushed.stderr).toBe(0);
    expect(
      execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${image}`], { encoding: 'utf8' }),
    ).toContain('Digest');
  });

  it('says what it cannot, and where', async () => {
    const cases = [
      [
        'FROM BASE\nCOPY --chmod=u+x a /a\n',
        [],
        /2 \| >>> COPY --chmod[\s\S]*too old for this build: it lacks file\.copy\.modestring/,
      ],
      [
        'FROM BASE\nRUN echo failing; exit 7\n',
        [],
        /2 \| >>> RUN[\s\S]*failing\nerror: process "\/bin\/sh -c echo failing; exit 7" did not complete successfully: exit code: 7/,
      ],
      ['FROM BASE\nCOPY nope /a\n', [], /2 \| >>> COPY nope[\s\S]*"nope" is not in the build context/],
      ['FROM BASE\n', ['-o', 'type=oci,dest=x.tar'], /makes no output of type oci/],
      ['FROM BASE\n', ['-o', 'a', '-o', 'b'], /too old for several outputs/],
    ] as const;
    for (const [dockerfile, words, message] of cases) {
      const context = bench.context('old-errors', { Dockerfile: dockerfile.replaceAll('BASE', base), a: 'a' });
      const result = await build(['--builder', on(), ...words, context]);
      expect(result.code).not.toBe(0);
      expect(result.stderr).toMatch(message);
    }
  });
});

const noBuildkitd = buildkitdLacks();
it.skipIf(noBuildkitd !== undefined)(
  noBuildkitd === undefined ? 'a buildkitd of its own' : `a buildkitd of its own (this machine lacks ${noBuildkitd})`,
  async () => {
    const buildkitd = await startBuildkitd(join(bench.dir, 'buildkitd'));
    try {
      const layout = busyboxLayout(join(bench.dir, 'for-buildkitd'));
      const context = bench.context('buildkitd', {
        Dockerfile:
          'FROM base AS b\nCOPY x /x\nRUN mkdir /made && cp /x /made/x\nFROM scratch\nCOPY --from=b /made /\n',
        x: 'arrived',
      });
      for (const [i, url] of [buildkitd.socket, buildkitd.port].entries()) {
        const out = join(bench.dir, `buildkitd-out-${i}`);
        const result = await build([
          '--builder',
          url,
          '--build-context',
          `base=oci-layout://${layout}`,
          '-o',
          out,
          context,
        ]);
        expect(result.code, result.stderr).toBe(0);
        expect(readFileSync(join(out, 'x'), 'utf8')).toBe('arrived');
      }
      const plain = await build(['--builder', buildkitd.port.replace(/\?.*/, ''), context]);
      expect(plain.code).toBe(6);
    } finally {
      await buildkitd.stop();
    }
  },
);
