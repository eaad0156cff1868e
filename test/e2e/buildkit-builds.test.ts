import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildkitBench, withDaemon } from '../support/buildkit-bench.ts';
import { startRegistry } from '../support/registry.ts';

const kit = buildkitBench();
const { bench, build } = kit;

withDaemon('a build on the BuildKit of Docker', () => {
  it('becomes an image of Docker, and says which engine made it', async () => {
    const context = bench.context('docker', {
      Dockerfile: `FROM ${kit.base}\nRUN echo built > /file\nCMD ["cat", "/file"]\n`,
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
    const inspected = JSON.parse(kit.dockerd.docker('image', 'inspect', 'on-docker:1')) as [
      { Config: { Cmd: string[] } },
    ];
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
      Dockerfile: `FROM ${kit.base} AS build\nRUN mkdir -p /out/d && echo x > /out/d/x && ln -s d/x /out/link && chmod 750 /out/d\nFROM scratch\nCOPY --from=build /out /\n`,
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
      Dockerfile: `FROM ${kit.base}\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n`,
    });
    const image = `${kit.registry.host}/team/app:1`;
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
    kit.dockerd.docker('builder', 'prune', '--all', '--force');
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
    const registryCache = `type=registry,ref=${kit.registry.host}/team/cache,registry.insecure=true`;
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
      Dockerfile: `FROM ${kit.base}\nRUN --mount=type=secret,id=s cat /run/secrets/s && wc -c < /run/secrets/s > /size\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo "$SSH_AUTH_SOCK" > /socket\n`,
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
    const context = bench.context('why', { Dockerfile: `FROM ${kit.base}\nCOPY a /a\nRUN cat /a\n`, a: '1' });
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
