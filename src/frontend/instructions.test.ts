import { describe, expect, it } from 'vitest';
import type { FrontendOptions } from './types.ts';
import { AMD64, convert, failure, fakeResolver, history, names, opNamed, vertexNamed } from './testing.ts';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The environment of the RUN that a Dockerfile ends with. */
async function runEnv(dockerfile: string, options: Partial<FrontendOptions> = {}): Promise<readonly string[]> {
  const result = await convert(`${dockerfile}\nRUN env`, options);
  return opNamed(result, 'exec', 'RUN env').meta.env.filter((entry) => entry !== PATH);
}

describe('ENV and ARG', () => {
  it.each<[string, string, readonly string[], Partial<FrontendOptions>?]>([
    ['pairs see the environment before them', 'FROM a\nENV x=1 y=$x\nENV z=$x', ['x=1', 'y=', 'z=1']],
    ['what is set again goes to the end', 'FROM a\nENV x=1\nENV y=2\nENV x=3', ['y=2', 'x=3']],
    ['keys are expanded', 'FROM a\nENV k=name\nENV $k=1', ['k=name', 'name=1']],
    ['an ARG is unset without value', 'FROM a\nARG x', []],
    ['defaults see earlier ones', 'FROM a\nARG x=1\nARG y=${x}2', ['x=1', 'y=12']],
    ['in one ARG too', 'FROM a\nARG x=1 y=$x', ['x=1', 'y=1']],
    ['--build-arg goes first', 'FROM a\nARG x=1', ['x=9'], { buildArgs: { x: '9' } }],
    ['even when it is empty', 'FROM a\nARG x=1', ['x='], { buildArgs: { x: '' } }],
    ['--build-arg without ARG is nothing', 'FROM a', [], { buildArgs: { x: '9' } }],
    ['the global scope needs a declaration', 'ARG x=1\nFROM a', []],
    ['and gives its value then', 'ARG x=1\nFROM a\nARG x', ['x=1']],
    ['a default in the stage goes before it', 'ARG x=1\nFROM a\nARG x=2', ['x=2']],
    ['the later of ARG and ENV counts', 'FROM a\nENV x=env\nARG x=arg', ['x=arg']],
    ['the other way too', 'FROM a\nARG x=arg\nENV x=env', ['x=env']],
    ['a stage has the ARGs of the one below', 'FROM a AS b\nARG x=1\nFROM b', ['x=1']],
    ['but its ENV goes first there', 'FROM a AS b\nENV x=env\nARG x=arg\nFROM b', ['x=env']],
    ['siblings do not', 'FROM a AS b\nARG x=1\nFROM a', []],
    [
      'platform arguments',
      'FROM a\nARG TARGETARCH\nARG TARGETVARIANT\nARG BUILDPLATFORM',
      ['TARGETARCH=amd64', 'TARGETVARIANT=', 'BUILDPLATFORM=linux/amd64'],
    ],
    ['their default in the file', 'FROM a\nARG TARGETARCH=x', ['TARGETARCH=x']],
    ['TARGETSTAGE', 'FROM a AS end\nARG TARGETSTAGE', ['TARGETSTAGE=end']],
    ['TARGETSTAGE without name', 'FROM a\nARG TARGETSTAGE', ['TARGETSTAGE=default']],
    ['arguments of the builder stay there', 'FROM a\nARG BUILDKIT_SBOM_SCAN_STAGE=true', []],
    ['__proto__ is a name like any other', 'FROM a\nARG __proto__\nARG constructor', []],
  ])('%s', async (_, dockerfile, expected, options) => {
    expect(await runEnv(dockerfile, options)).toEqual(expected);
  });

  it('FROM sees global arguments and platforms', async () => {
    const resolver = fakeResolver({ 'docker.io/library/img:2': {} });
    await convert('ARG TAG=1\nARG NAME=img\nFROM --platform=$BUILDPLATFORM ${NAME}:$TAG', {
      buildArgs: { TAG: '2' },
      resolver,
    });
    expect(resolver.asked).toEqual(['docker.io/library/img:2 linux/amd64']);
  });

  it('histories show declared arguments in RUN, each once', async () => {
    const result = await convert('FROM a AS b\nARG x=1\nARG y\nFROM b\nARG x=2\nENV y=3\nRUN echo $x # c', {
      buildArgs: { http_proxy: 'secret' },
    });
    expect(history(result)).toEqual([
      '(ARG x=1)',
      '(ARG y)',
      '(ARG x=2)',
      '(ENV y=3)',
      'RUN |2 x=2 y=3 /bin/sh -c echo $x # c # buildkit',
    ]);
    expect(opNamed(result, 'exec', '# c').meta.proxyEnv).toEqual({ httpProxy: 'secret' });
  });

  it('keeps ENV in the image, in place', async () => {
    const resolver = fakeResolver({ 'docker.io/library/a:latest': { Env: ['A=1', 'PATH=/x', 'B=2'] } });
    const { config } = await convert('FROM a\nENV C=3\nENV A=4\nARG D=5', { resolver });
    expect(config.config?.Env).toEqual(['A=4', 'PATH=/x', 'B=2', 'C=3']);
  });
});

describe('configuration', () => {
  it('of scratch has PATH and a working directory', async () => {
    const { config } = await convert('FROM scratch');
    expect(config).toEqual({ os: 'linux', architecture: 'amd64', config: { Env: [PATH], WorkingDir: '/' } });
  });

  it('is inherited, but for ONBUILD, created, and what no spec knows', async () => {
    const base = {
      os: 'linux',
      architecture: 'amd64',
      created: '2020-01-01T00:00:00Z',
      author: 'me',
      container: 'x',
      config: {
        Hostname: 'h',
        User: 'u',
        ExposedPorts: { '1/tcp': {} },
        Env: ['A=1'],
        Entrypoint: ['e'],
        Cmd: ['c'],
        Volumes: { '/v': {} },
        WorkingDir: '/w',
        Labels: { l: '1' },
        StopSignal: 'SIGINT',
        StopTimeout: 5,
        Healthcheck: { Test: ['NONE'] },
        OnBuild: ['ENV ONB=1'],
        Shell: ['/bin/bash', '-c'],
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${'a'.repeat(64)}`] },
      history: [{ created: '2020-01-01T00:00:00Z', created_by: 'x' }],
    } as const;
    const resolver = fakeResolver({ 'docker.io/library/a:latest': base });
    const { config } = await convert('FROM a AS b\nFROM b\nRUN x', { resolver });
    const kept = Object.fromEntries(
      Object.entries(base.config).filter(([key]) => key !== 'Hostname' && key !== 'OnBuild'),
    );
    expect(config).toEqual({
      os: 'linux',
      architecture: 'amd64',
      author: 'me',
      config: { ...kept, Env: ['A=1', PATH, 'ONB=1'] },
      history: [
        ...base.history,
        { created_by: 'ENV ONB=1', comment: 'buildkit.dockerfile.v0', empty_layer: true },
        { created_by: 'RUN /bin/bash -c x # buildkit', comment: 'buildkit.dockerfile.v0' },
      ],
    });
  });

  it.each<[string, string, object]>([
    ['shell form', 'CMD echo "a b"', { Cmd: ['/bin/sh', '-c', 'echo "a b"'], ArgsEscaped: true }],
    ['exec form', 'CMD ["a", "b"]', { Cmd: ['a', 'b'], ArgsEscaped: true }],
    [
      'SHELL of the moment',
      'CMD x\nSHELL ["/s"]\nENTRYPOINT y',
      { Cmd: ['/bin/sh', '-c', 'x'], Entrypoint: ['/s', 'y'], Shell: ['/s'] },
    ],
    ['ENTRYPOINT takes away the inherited CMD', 'ENTRYPOINT ["e"]', { Entrypoint: ['e'], Cmd: undefined }],
    ['but not that of the stage', 'CMD ["c"]\nENTRYPOINT ["e"]', { Entrypoint: ['e'], Cmd: ['c'] }],
    ['empty forms', 'CMD []\nENTRYPOINT []', { Cmd: undefined, Entrypoint: undefined }],
    [
      'healthcheck',
      'HEALTHCHECK --interval=1m --retries=3 CMD curl x',
      { Healthcheck: { Test: ['CMD-SHELL', 'curl x'], Interval: 60e9, Retries: 3 } },
    ],
    ['no healthcheck', 'HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
    ['signals', 'STOPSIGNAL 9', { StopSignal: '9' }],
    ['volumes', 'ENV v=/w\nVOLUME /v $v', { Volumes: { '/v': {}, '/w': {} } }],
    ['users', 'ARG u=me\nUSER $u:grp', { User: 'me:grp' }],
    ['labels', 'LABEL a=1 b="x y"\nLABEL a=2', { Labels: { a: '2', b: 'x y' } }],
    ['working directories', 'WORKDIR /a\nWORKDIR b/../c', { WorkingDir: '/a/c' }],
    ['an absolute working directory as it was written', 'WORKDIR /a/../b/', { WorkingDir: '/a/../b/' }],
    ['triggers', 'ONBUILD RUN x\nONBUILD COPY . /', { OnBuild: ['RUN x', 'COPY . /'] }],
    [
      'ports',
      'EXPOSE 80 443/TCP 8000-8002/udp',
      { ExposedPorts: { '80/tcp': {}, '443/tcp': {}, '8000/udp': {}, '8001/udp': {}, '8002/udp': {} } },
    ],
  ])('%s', async (_, instructions, expected) => {
    const resolver = fakeResolver({ 'docker.io/library/a:latest': { Cmd: ['inherited'] } });
    const { config } = await convert(`FROM a\n${instructions}`, { resolver });
    expect(config.config).toMatchObject(
      Object.fromEntries(Object.entries(expected).filter(([, v]) => v !== undefined)),
    );
    for (const [key, value] of Object.entries(expected))
      if (value === undefined) expect(config.config).not.toHaveProperty(key);
  });

  it('writes histories as BuildKit does', async () => {
    const result = await convert(`FROM a
MAINTAINER me
CMD ["a b", "\\"q\\""]
ENTRYPOINT run it
SHELL ["/s", "-c"]
VOLUME ["/a", "/b"]
EXPOSE 9000 80/udp 80
STOPSIGNAL SIGTERM
USER u
WORKDIR /
WORKDIR /w
LABEL k="v w" l=$w
HEALTHCHECK --timeout=1500ms --start-period=2h CMD ["x"]
COPY --from=b --chown=u --chmod=0600 --link x* y/ d/
ADD --chown=1:2 z .
COPY <<A <<"B" e /f/
1
A
2
B
RUN ["x", "y z"]`);
    expect(history(result)).toEqual([
      '(MAINTAINER me)',
      '(CMD ["a b" "\\"q\\""])',
      '(ENTRYPOINT ["/bin/sh" "-c" "run it"])',
      '(SHELL [/s -c])',
      '(VOLUME [/a /b])',
      '(EXPOSE [80/tcp 80/udp 9000/tcp])',
      '(STOPSIGNAL SIGTERM)',
      '(USER u)',
      '(WORKDIR /)',
      'WORKDIR /w',
      '(LABEL k=v w l=)',
      '(HEALTHCHECK {Test:[CMD x] Interval:0s Timeout:1.5s StartPeriod:2h0m0s StartInterval:0s Retries:0})',
      'COPY --chown=u --chmod=0600 x* y/ d/ # buildkit',
      'ADD --chown=1:2 z . # buildkit',
      'COPY e <<A <<B /f/ # buildkit',
      'RUN x y z # buildkit',
    ]);
    expect(result.config.author).toBe('me');
  });

  it('--label changes the target only, over LABEL', async () => {
    const { config } = await convert('FROM a AS b\nLABEL x=1 y=1\nFROM b', { labels: { y: '2', z: '3' } });
    expect(config.config?.Labels).toEqual({ x: '1', y: '2', z: '3' });
  });

  it('--platform gives the image its platform', async () => {
    const arm = { os: 'linux', architecture: 'arm64', variant: 'v8' };
    const { config, definition } = await convert('FROM scratch\nCOPY a /', { targetPlatform: arm });
    expect([config.architecture, config.variant]).toEqual(['arm64', undefined]);
    expect(definition.vertices.every(({ platform }) => platform === undefined)).toBe(true);
  });

  it('warns about a base of another platform', async () => {
    const other = {
      os: 'linux',
      architecture: 'arm64',
      rootfs: { type: 'layers', diff_ids: [`sha256:${'a'.repeat(64)}`] },
    } as const;
    const { warnings } = await convert('FROM a', { resolver: fakeResolver({ 'docker.io/library/a:latest': other }) });
    expect(warnings).toMatchObject([
      { rule: 'InvalidBaseImagePlatform', message: 'base image a is for linux/arm64, not for linux/amd64' },
    ]);
  });

  it.each([
    ['EXPOSE 80/icmp', /protocol/],
    ['EXPOSE 9-8', /no port/],
    ['EXPOSE 65536', /no port/],
    ['EXPOSE 1.2.3.4.5:80:80', /no IP/],
    ['EXPOSE 80-81:80-82', /length/],
    ['STOPSIGNAL nope', /no signal/],
    ['VOLUME [""]', /empty/],
    ['RUN []', /no command/],
    ['ENV a=${b:?needed}', /needed/],
    ['COPY --chmod=999 a b', /file mode/],
    ['COPY http://x/y z', /cannot fetch/],
    ['COPY https://x/y.git z', /cannot fetch/],
    ['ADD --checksum=sha256:x http://x/y z', /no digest/],
    ['ADD --checksum=sha256:x a z', /for URLs/],
    ['ADD --checksum=sha256:x http://a http://b z', /one source/],
    ['ADD --keep-git-dir=true https://x/y.git?keep-git-dir=false z', /contradicts/],
    ['RUN --mount=target=/ x', /target/],
    ['RUN --mount=type=cache,target=../.. x', /target/],
  ])('refuses %s', async (instruction, message) => {
    const error = await failure(`FROM a\n${instruction}`);
    expect(error.message).toMatch(message);
    expect(error.location?.ranges[0]?.start.line).toBe(2);
  });
});

describe('ONBUILD', () => {
  it('of a base image runs first, in order, at FROM', async () => {
    const resolver = fakeResolver({
      'docker.io/library/a:latest': { OnBuild: ['ENV x=1', 'RUN echo $x', 'COPY --from=busybox /b /'] },
    });
    const result = await convert('FROM a\nRUN own', { resolver });
    expect(names(result).map((name) => name?.replace(/@.*/, ''))).toEqual(
      [
        '[1/4] FROM docker.io/library/a:latest',
        '[2/4] ONBUILD RUN echo $x',
        'FROM docker.io/library/busybox:latest',
        '[3/4] ONBUILD COPY --from=busybox /b /',
        '[4/4] RUN own',
      ].map((name) => name.replace('echo $x', 'echo 1')),
    );
    expect(vertexNamed(result, 'echo 1').metadata.location?.ranges[0]?.start.line).toBe(1);
    expect(result.config.config).not.toHaveProperty('OnBuild');
  });

  it('of a stage runs in its children, not in theirs', async () => {
    const result = await convert('FROM a AS p\nONBUILD RUN hook\nFROM p AS c\nFROM c\nRUN x');
    expect(names(result).map((name) => name?.replace(/@.*/, ''))).toEqual([
      '[p 1/1] FROM docker.io/library/a:latest',
      '[c 1/1] ONBUILD RUN hook',
      '[stage-2 1/1] RUN x',
    ]);
  });

  it('is at FROM when it is wrong', async () => {
    const resolver = fakeResolver({ 'docker.io/library/a:latest': { OnBuild: ['NONSENSE'] } });
    expect(await failure('# c\nFROM a', { resolver })).toMatchObject({
      message: expect.stringMatching(/^ONBUILD NONSENSE: unknown instruction/) as string,
      location: { ranges: [{ start: { line: 2 } }] },
    });
  });
});

describe('WORKDIR', () => {
  it('makes a directory for the user of the moment', async () => {
    const result = await convert('FROM a\nUSER me:5\nWORKDIR /w/x');
    expect(opNamed(result, 'file', 'WORKDIR /w/x').actions).toEqual([
      {
        input: 0,
        secondaryInput: -1,
        output: 0,
        action: {
          kind: 'mkdir',
          path: '/w/x',
          mode: 0o755,
          makeParents: true,
          owner: { user: { kind: 'name', name: 'me', input: 0 }, group: { kind: 'id', id: 5 } },
          timestamp: -1n,
        },
      },
    ]);
  });

  it('dates it with SOURCE_DATE_EPOCH', async () => {
    const result = await convert('FROM scratch\nWORKDIR /w', { buildArgs: { SOURCE_DATE_EPOCH: '1700000000' } });
    expect(opNamed(result, 'file', 'WORKDIR /w').actions[0]?.action).toMatchObject({
      timestamp: 1_700_000_000_000_000_000n,
    });
    expect(result.sourceDateEpoch).toBe(1_700_000_000);
  });
});

describe('--network, --security, hosts and limits', () => {
  it('reach the op', async () => {
    const result = await convert('FROM a\nRUN --network=none --security=insecure x\nRUN y', {
      network: 'host',
      hostname: 'h',
      extraHosts: [{ host: 'x', ip: '10.0.0.1' }],
      ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
      shmSize: 1024,
      cgroupParent: 'g',
      noCache: ['stage'],
    });
    const op = opNamed(result, 'exec', 'insecure x');
    expect(op).toMatchObject({
      network: 'none',
      security: 'insecure',
      meta: {
        hostname: 'h',
        extraHosts: [{ host: 'x', ip: '10.0.0.1' }],
        ulimits: [{ name: 'nofile' }],
        cgroupParent: 'g',
        cwd: '/',
      },
    });
    expect(op.mounts[1]).toMatchObject({ dest: '/dev/shm', type: { kind: 'tmpfs', size: 1024 }, output: -1 });
    expect(opNamed(result, 'exec', 'RUN y').network).toBe('host');
    expect(vertexNamed(result, 'RUN y').platform).toEqual(AMD64);
  });

  it.each<[FrontendOptions['noCache'], readonly boolean[]]>([
    [true, [true, true, true]],
    [false, [false, false, false]],
    [['B'], [false, false, true]],
  ])('--no-cache %s', async (noCache, expected) => {
    const result = await convert('FROM a AS x\nRUN 1\nCOPY f /\nFROM x AS b\nRUN 2', { noCache });
    expect(
      ['RUN 1', 'COPY f /', 'RUN 2'].map((name) => vertexNamed(result, name).metadata.ignoreCache ?? false),
    ).toEqual(expected);
  });
});
