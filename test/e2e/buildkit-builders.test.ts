import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { buildkitBench, withDaemon } from '../support/buildkit-bench.ts';
import { bridgePort, bridgePrograms, bridgeSocket, bridgeTls, type Bridge } from '../support/buildkit-bridge.ts';
import { buildkitPath, startBuildkitd, type Buildkitd } from '../support/buildkitd.ts';
import { started } from '../support/started.ts';

const kit = buildkitBench();
const { bench, build } = kit;

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
    await arrives(keep(await bridgeSocket(kit.dockerd.host, join(bench.dir, 'bk.sock'))).url);
    const port = keep(await bridgePort(kit.dockerd.host)).url;
    await arrives(port);
    await arrives('docker://' + kit.dockerd.host);
    const byEnvironment = await build(['-o', join(bench.dir, 'env'), context()], {
      SLIPWAY_ENGINE: 'buildkit',
      BUILDKIT_HOST: port,
    });
    expect(byEnvironment.stderr).toContain(`building with the buildkit engine: ${port}`);
  });

  it('TLS, with certificates of both sides', async () => {
    const tls = join(bench.dir, 'tls');
    const { url } = keep(await bridgeTls(kit.dockerd.host, tls));
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
    const { url } = keep(await bridgeSocket(kit.dockerd.host, join(bench.dir, 'bk2.sock')));
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
    const { url } = keep(await bridgeSocket(kit.dockerd.host, join(bench.dir, 'bk3.sock')));
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

const path = buildkitPath();
if (path !== undefined) {
  withDaemon('a buildkitd of its own', () => {
    let daemon: Buildkitd | undefined;
    let words: readonly string[] = [];
    beforeAll(async () => {
      daemon = await startBuildkitd(join(bench.dir, 'buildkitd'));
      const layout = busyboxLayout(join(bench.dir, 'for-buildkitd'));
      const context = bench.context('buildkitd', {
        Dockerfile:
          'FROM base AS b\nCOPY x /x\nRUN mkdir /made && cp /x /made/x\nFROM scratch\nCOPY --from=b /made /\n',
        x: 'arrived',
      });
      words = ['--build-context', `base=oci-layout://${layout}`, context];
    });
    afterAll(async () => await daemon?.stop());
    let outs = 0;
    const arrives = async (url: string, env: Readonly<Record<string, string>> = {}): Promise<void> => {
      const out = join(bench.dir, `buildkitd-out-${outs++}`);
      const result = await build(['--builder', url, '-o', out, ...words], env);
      expect(result.code, result.stderr).toBe(0);
      expect(readFileSync(join(out, 'x'), 'utf8')).toBe('arrived');
    };

    it('on a socket, and on a port with TLS of both sides', async () => {
      const { socket, port } = started(daemon);
      await arrives(socket);
      await arrives(port);
      const refused = [port.replace(/\?.*/, ''), port.replace(/&cert.*/, ''), port.replace('/ca.pem', '/other-ca.pem')];
      for (const url of refused) expect(await build(['--builder', url, ...words])).toMatchObject({ code: 6 });
    });

    it('through containers, pods and ssh, by the buildctl that is there', async () => {
      const bin = join(bench.dir, 'with-buildctl');
      mkdirSync(bin);
      const script = `#!/bin/sh\nwhile [ "$1" != buildctl ]; do shift; done\nBUILDKIT_HOST='${started(daemon).socket}' exec "$@"\n`;
      for (const name of ['docker', 'podman', 'kubectl', 'ssh'])
        writeFileSync(join(bin, name), script, { mode: 0o755 });
      const env = { PATH: `${bin}:${path}` };
      for (const url of ['docker-container://b', 'podman-container://b', 'kube-pod://b-0', 'ssh://far'])
        await arrives(url, env);
    });

    it('tells what it is, and what it keeps', async () => {
      const { socket } = started(daemon);
      await arrives(socket);
      expect((await bench.run(['builder', 'inspect', socket])).stdout).toMatch(/platforms linux\//);
      expect((await bench.run(['builder', 'du', socket])).stdout).toMatch(/total/);
      expect((await bench.run(['builder', 'prune', socket])).stdout).toMatch(/removed \d+ records/);
    });
  });
}

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
