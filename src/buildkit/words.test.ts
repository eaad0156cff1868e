import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { encode } from '../llb/index.ts';
import { parseCacheOptions } from './cache.ts';
import { isLostDaemon, lostDaemon, toBuildError } from './errors.ts';
import { RpcStatus } from './gen/control.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { addToLayout } from './layout.ts';
import { assignPlatforms, groupByNode, type NodeState } from './nodes.ts';
import { parseRemoteOutputs, withEpoch, withoutRewriting } from './outputs.ts';
import { rankByKey } from './routing.ts';
import { endpointText, parseEndpoint } from './transport/endpoint.ts';

describe('endpoints', () => {
  it.each([
    ['unix://', {}, { kind: 'unix', path: '/run/buildkit/buildkitd.sock' }],
    ['unix:///x/y.sock', {}, { kind: 'unix', path: '/x/y.sock' }],
    ['tcp://host', {}, { kind: 'tcp', host: 'host', port: 1234, tls: undefined }],
    ['tcp://[::1]:99?tls=true', {}, { kind: 'tcp', host: '::1', port: 99, tls: {} }],
    ['tcp://h:1?ca=/c&cert=/d&key=/k&servername=n', {}, { tls: { ca: '/c', cert: '/d', key: '/k', serverName: 'n' } }],
    ['tcp://h:1', { BUILDKIT_TLS_DIR: '/t' }, { tls: { ca: '/t/ca.pem', cert: '/t/cert.pem', key: '/t/key.pem' } }],
    ['docker://', {}, { kind: 'docker', host: 'unix:///var/run/docker.sock', tls: undefined }],
    ['docker://', { DOCKER_HOST: 'ssh://u@h' }, { host: 'ssh://u@h' }],
    [
      'docker://tcp://h:2376',
      { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/p' },
      { tls: { ca: '/p/ca.pem', cert: '/p/cert.pem', key: '/p/key.pem' } },
    ],
    [
      'docker-container://bk?context=far',
      {},
      { command: 'docker', args: ['--context', 'far', 'exec', '-i', 'bk', 'buildctl', 'dial-stdio'] },
    ],
    ['podman-container://bk', {}, { command: 'podman', args: ['exec', '-i', 'bk', 'buildctl', 'dial-stdio'] }],
    [
      'kube-pod://p?context=c&namespace=n&container=k',
      {},
      {
        command: 'kubectl',
        args: ['--context', 'c', '--namespace', 'n', 'exec', '-i', '-c', 'k', 'p', '--', 'buildctl', 'dial-stdio'],
      },
    ],
    ['kube-pod://?selector=app=bk&namespace=n', {}, { kind: 'pods', selector: 'app=bk' }],
    [
      'ssh://u@h:22/run/bk.sock',
      {},
      {
        command: 'ssh',
        args: [
          '-l',
          'u',
          '-p',
          '22',
          '-o',
          'ConnectTimeout=30',
          '-o',
          'BatchMode=yes',
          '-T',
          '--',
          'h',
          'buildctl',
          '--addr',
          "'unix:///run/bk.sock'",
          'dial-stdio',
        ],
      },
    ],
  ] as const)('%s', (url, env, expected) => {
    const endpoint = parseEndpoint(url, env);
    expect(endpoint).toMatchObject(expected);
    expect(endpointText(endpoint)).not.toBe('');
  });

  it.each([
    '',
    'x',
    'http://h',
    'unix://relative',
    'tcp://',
    'docker-container://',
    'docker-container://-x',
    'kube-pod://a b',
    'kube-pod://p?namespace=-n',
    'ssh://-oProxyCommand=x',
    'ssh://u:p@h',
    'docker://nonsense',
  ])('refuses %j', (url) => {
    expect(() => parseEndpoint(url, {})).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});

describe('outputs', () => {
  const parse = (words: readonly string[], names: readonly string[] = []) =>
    parseRemoteOutputs({ words, names, cwd: '/w' });
  it.each([
    [[], ['a:1', 'b'], [{ type: 'image', attrs: { name: 'a:1,b' }, receive: undefined }]],
    [['out'], [], [{ type: 'local', attrs: {}, receive: { kind: 'directory', dest: '/w/out', removeOthers: false } }]],
    [['-'], [], [{ type: 'tar', attrs: {}, receive: { kind: 'stdout' } }]],
    [
      ['type=local,dest=o,mode=delete,platform-split=false'],
      [],
      [
        {
          type: 'local',
          attrs: { 'platform-split': 'false' },
          receive: { kind: 'directory', dest: '/w/o', removeOthers: true },
        },
      ],
    ],
    [
      ['type=oci,dest=x.tar,compression=estargz'],
      ['n'],
      [
        { type: 'image' },
        { type: 'oci', attrs: { compression: 'estargz', name: 'n' }, receive: { kind: 'file', dest: '/w/x.tar' } },
      ],
    ],
    [
      ['type=oci,dest=d,tar=false'],
      [],
      [{ type: 'oci', attrs: { tar: 'false' }, receive: { kind: 'layout', dest: '/w/d' } }],
    ],
    [['type=docker'], [], [{ type: 'docker', receive: { kind: 'docker-load' } }]],
    [['type=registry,name=r/x'], [], [{ type: 'image', attrs: { push: 'true', name: 'r/x' } }]],
    [['type=image,push=true'], ['n'], [{ type: 'image', attrs: { push: 'true', name: 'n' } }]],
    [['type=cacheonly'], [], []],
  ] as const)('%j %j', (words, names, expected) => {
    const parsed = parse(words, names);
    expect(parsed).toHaveLength(expected.length);
    expect(parsed).toMatchObject(expected);
  });

  it.each([['type=nope'], ['type=local'], ['type=oci,tar=false'], ['type=oci,dest'], ['x=y'], ['']])(
    'refuses %j',
    (word) => {
      expect(() => parse([word])).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
    },
  );

  it('have the annotations of all, and their own', () => {
    const annotations = ['a=1', 'index:b=2', 'manifest[linux/arm64],manifest-descriptor:c=3'];
    const words = ['type=oci,dest=x,annotation.a=own', 'type=local,dest=d'];
    expect(parseRemoteOutputs({ words, names: [], cwd: '/w', annotations })).toMatchObject([
      {
        attrs: {
          'annotation.a': 'own',
          'annotation-index.b': '2',
          'annotation-manifest[linux/arm64].c': '3',
          'annotation-manifest-descriptor.c': '3',
        },
      },
      { attrs: {} },
    ]);
    expect(() => parseRemoteOutputs({ words, names: [], cwd: '/w', annotations: ['x'] })).toThrow(
      expect.objectContaining({ code: 'usage' }) as Error,
    );
  });

  it('have their times bounded where an image is made of them', () => {
    const outputs = withEpoch(parse(['out', 'type=oci,dest=x', 'type=image,rewrite-timestamp=false']));
    expect(outputs.map(({ attrs }) => attrs['rewrite-timestamp'])).toEqual([undefined, 'true', 'false']);
    // Docker's store takes no such images; what was asked for in so many words is left to its answer.
    const images = withEpoch(parse(['type=image', 'type=image,rewrite-timestamp=true', 'type=oci,dest=x']));
    expect(withoutRewriting(images).map(({ attrs }) => attrs['rewrite-timestamp'])).toEqual([
      undefined,
      'true',
      'true',
    ]);
  });

  it('are refused where a daemon would do something else without a word', () => {
    for (const word of ['type=image,push=true', 'type=registry', 'type=oci,compresion=zstd', 'type=local,dset=x']) {
      expect(() => parse([word]), word).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
    }
    expect(() => parse(['type=image,vendor-attribute=x'])).not.toThrow();
  });
});

describe('caches', () => {
  const settings = { env: { AWS_ACCESS_KEY_ID: 'k', ACTIONS_RUNTIME_TOKEN: 't' }, cwd: '/w' };
  it('are passed on, with the credentials of the environment', () => {
    const { imports, exports } = parseCacheOptions(
      ['reg/app', 'type=gha,scope=x'],
      ['type=s3,region=r,bucket=b', 'type=inline'],
      settings,
    );
    expect(imports).toEqual([
      { type: 'registry', attrs: { ref: 'reg/app' } },
      { type: 'gha', attrs: { scope: 'x', token: 't' } },
    ]);
    expect(exports).toEqual([
      { type: 's3', attrs: { region: 'r', bucket: 'b', access_key_id: 'k' } },
      { type: 'inline', attrs: {} },
    ]);
  });

  it('of this machine are found by their tag', () => {
    const directory = mkdtempSync(join(tmpdir(), 'cache-'));
    const entry = (digit: string) => ({ mediaType: 'm', digest: `sha256:${digit.repeat(64)}`, size: 1 });
    addToLayout(directory, entry('1'), ['latest']);
    addToLayout(directory, entry('2'), ['other']);
    addToLayout(directory, entry('3'), ['latest']);
    const { imports, stores } = parseCacheOptions([`type=local,src=${directory}`], [], settings);
    expect(imports[0]?.attrs['digest']).toBe(entry('3').digest);
    expect(stores.get(`local:${directory}`)).toEqual({ directory, writable: false });
    expect(
      (JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as { manifests: unknown[] }).manifests,
    ).toHaveLength(2);
    expect(() => parseCacheOptions(['type=local,src=/nowhere'], [], settings)).toThrow(/holds no build cache/);
    rmSync(directory, { recursive: true });
  });
});

describe('nodes', () => {
  const node = (name: string, native: readonly string[], more: Partial<NodeState> = {}): NodeState => ({
    name,
    native,
    platforms: native,
    builds: 0,
    ...more,
  });
  const amd = node('amd', ['linux/amd64'], { platforms: ['linux/amd64', 'linux/arm64'] });
  const arm = node('arm', ['linux/arm64']);

  it('get the platforms that they run natively, then those that they emulate', () => {
    expect(assignPlatforms(['linux/arm64', 'linux/amd64'], [amd, arm], 'k')).toEqual([
      { platform: 'linux/arm64', nodes: ['arm', 'amd'] },
      { platform: 'linux/amd64', nodes: ['amd'] },
    ]);
    expect(assignPlatforms(['linux/arm64'], [amd], 'k')).toEqual([{ platform: 'linux/arm64', nodes: ['amd'] }]);
    expect(() => assignPlatforms(['linux/s390x'], [amd, arm], 'k')).toThrow(
      /no node of the builder builds for linux\/s390x/,
    );
  });

  it('of equals, the project has its own, unless it is far busier', () => {
    const equals = ['a', 'b', 'c'].map((name) => node(name, ['linux/amd64']));
    const first = (states: readonly NodeState[], key: string) =>
      assignPlatforms(['linux/amd64'], states, key)[0]?.nodes[0];
    const own = first(equals, 'project') ?? '';
    expect(first([...equals].reverse(), 'project')).toBe(own);
    expect(new Set(Array.from({ length: 50 }, (_, i) => first(equals, `p${i}`)))).toEqual(new Set(['a', 'b', 'c']));
    const busy = (builds: number) => equals.map((state) => (state.name === own ? { ...state, builds } : state));
    expect(first(busy(3), 'project')).toBe(own);
    expect(first(busy(9), 'project')).not.toBe(own);
  });

  it('build all of their platforms in one go', () => {
    const assignments = [
      { platform: 'p1', nodes: ['a', 'b'] },
      { platform: 'p2', nodes: ['b'] },
      { platform: 'p3', nodes: ['a'] },
    ];
    expect(groupByNode(assignments)).toEqual([
      { nodes: ['a'], platforms: ['p1', 'p3'] },
      { nodes: ['b'], platforms: ['p2'] },
    ]);
  });

  it('move few keys when one goes', () => {
    const names = Array.from({ length: 10 }, (_, i) => `n${i}`);
    const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
    const moved = keys.filter((key) => {
      const before = rankByKey(names, key)[0];
      return (
        before !== 'n3' &&
        before !==
          rankByKey(
            names.filter((name) => name !== 'n3'),
            key,
          )[0]
      );
    });
    expect(moved).toEqual([]);
  });
});

describe('errors of a daemon', () => {
  const any = (name: string, value: unknown) => ({
    type_url: `github.com/moby/buildkit/${name}+json`,
    value: Buffer.from(JSON.stringify(value)),
  });
  const failed = (
    message: string,
    details: readonly ReturnType<typeof any>[] = [],
    code: number = STATUS.unknown,
  ): GrpcError => new GrpcError(code, message, encode(RpcStatus, { code, message, details }));
  const explain = (error: unknown) => toBuildError(error, { where: 'the daemon' }) as BuildError;

  it('of a step have its exit code and place', () => {
    const source = {
      info: { filename: 'Dockerfile', data: Buffer.from('FROM x\nRUN y\n').toString('base64') },
      ranges: [{ start: { line: 2 }, end: { line: 2 } }],
    };
    const error = failed('process "/bin/sh -c say \\"hi\\"" did not complete successfully: exit code: 3', [
      any('errdefs.Source', source),
      any('gatewayapi.ExitMessage', { Code: 3 }),
    ]);
    expect(explain(error)).toMatchObject({
      code: 'run-failed',
      exitCode: 3,
      message: 'process "/bin/sh -c say "hi"" did not complete successfully: exit code: 3',
      location: { file: { filename: 'Dockerfile' }, ranges: [{ start: { line: 2 } }] },
    });
  });

  it.each([
    ['executor failed running [/bin/sh -c x]: exit code: 127', 'run-failed', /process "\/bin\/sh -c x" did not/],
    ['failed to solve: write /x: no space left on device', 'disk-full', /no space left/],
    ['secret tok: not found', 'usage', /secret tok/],
    ['secret tok not found: not found', 'usage', /secret tok/],
    ['unset ssh forward key deploy', 'usage', /no SSH key "deploy"/],
    [
      `digest mismatch sha256:${'a'.repeat(64)}: sha256:${'0'.repeat(64)}`,
      'digest-mismatch',
      /got sha256:a+, wanted sha256:0+/,
    ],
    ['failed to load cache key: invalid git ref "-x"', 'usage', /^"-x" is no git ref/],
    ['Get "file:///etc/passwd": unsupported protocol scheme "file"', 'hostile', /redirect .* leads to file:/],
    [
      'failed to load LLB: required device "a.b/c=d" is not registered',
      'unsupported',
      /device a\.b\/c=d cannot be given/,
    ],
    ['x: failed to authorize: 401 Unauthorized', 'auth', /401/],
    ['network.host is not allowed', 'unsupported', /not allowed/],
    ['"/nope": not found', 'source-missing', /nope/],
    ['something new', 'builder', /something new/],
  ] as const)('%s', (message, code, text) => {
    expect(explain(failed(message))).toMatchObject({ code, message: expect.stringMatching(text) as string });
  });

  it('that are lost connections are known as such', () => {
    const lost = explain(new GrpcError(STATUS.unavailable, 'the connection is gone'));
    expect(lost).toMatchObject({ code: 'builder', message: 'the connection to the daemon was lost' });
    expect(isLostDaemon(lost)).toBe(true);
    expect(isLostDaemon(lostDaemon('x'))).toBe(true);
    expect(isLostDaemon(explain(failed('something new')))).toBe(false);
  });

  it('survive details that are none', () => {
    expect(explain(new GrpcError(STATUS.unknown, 'x', Buffer.from('not protobuf')))).toMatchObject({ message: 'x' });
    expect(
      explain(failed('x', [{ type_url: 'github.com/moby/buildkit/errdefs.Source+json', value: Buffer.from('{') }])),
    ).toMatchObject({ location: undefined });
  });

  it('are what the user said, when the user stopped it', () => {
    const abort = new AbortController();
    abort.abort(new BuildError({ code: 'cancelled', message: 'stopped by SIGINT' }));
    const error = toBuildError(new GrpcError(STATUS.cancelled, 'x'), { where: 'd', signal: abort.signal });
    expect(error).toMatchObject({ code: 'cancelled', message: 'stopped by SIGINT' });
  });
});
