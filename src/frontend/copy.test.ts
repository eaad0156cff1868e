import { describe, expect, it } from 'vitest';
import type { CopyAction } from '../llb/index.ts';
import { convert, names, opNamed, vertexNamed } from './testing.ts';

/** The copies of the step that a Dockerfile ends with. */
async function copies(dockerfile: string): Promise<readonly CopyAction[]> {
  const { definition } = await convert(dockerfile);
  const op = definition.result?.vertex.op;
  return op?.kind === 'file' ? op.actions.flatMap(({ action }) => (action.kind === 'copy' ? action : [])) : [];
}

const CONTEXT_COPY = {
  kind: 'copy',
  mode: -1,
  followSymlink: true,
  dirCopyContents: true,
  attemptUnpackDockerCompatibility: false,
  createDestPath: true,
  allowWildcard: true,
  allowEmptyWildcard: true,
  timestamp: -1n,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
  requiredPaths: [],
};

describe('COPY and ADD', () => {
  it.each<[string, readonly object[]]>([
    ['COPY a /b', [{ ...CONTEXT_COPY, src: '/a', dest: '/b' }]],
    ['ADD a /b', [{ ...CONTEXT_COPY, src: '/a', dest: '/b', attemptUnpackDockerCompatibility: true }]],
    ['ADD --unpack=false a /b', [{ attemptUnpackDockerCompatibility: false }]],
    [
      'COPY a/ b* ../c ./',
      [
        { src: '/a', dest: '/w/' },
        { src: '/b*', dest: '/w/' },
        { src: '/c', dest: '/w/' },
      ],
    ],
    [
      'COPY --chown=me:5 --chmod=755 a b',
      [
        {
          dest: '/w/b',
          mode: 0o755,
          owner: { user: { kind: 'name', name: 'me', input: 0 }, group: { kind: 'id', id: 5 } },
        },
      ],
    ],
    ['COPY --chmod=u+x a b', [{ mode: 0, modeStr: 'u+x' }]],
    ['COPY --exclude=*.md --exclude=$x a b', [{ excludePatterns: ['*.md', '$x'] }]],
    ['COPY --parents a/b/c /d/', [{ src: '/', includePatterns: ['a/b/c'], requiredPaths: ['/a/b/c'] }]],
    ['COPY --parents a/./b/c /d/', [{ src: '/a', includePatterns: ['b/c'], requiredPaths: ['/a/b/c'] }]],
    [
      'COPY --parents a/*/c ../x/./y /d/',
      [
        { src: '/', includePatterns: ['a/*/c'], requiredPaths: [] },
        { src: '/x', includePatterns: ['y'], requiredPaths: ['/x/y'] },
      ],
    ],
    ['COPY --parents a\\*b /d/', [{ includePatterns: ['a*b'], requiredPaths: [] }]],
    ['COPY ["a b", "c d"]', [{ src: '/a b', dest: '/w/c d' }]],
  ])('%s', async (instruction, expected) => {
    expect(await copies(`FROM x\nWORKDIR /w\n${instruction}`)).toMatchObject(expected);
  });

  it('copy one source after the other onto the root', async () => {
    const result = await convert('FROM x\nCOPY --from=busybox a b /c/');
    const { actions } = opNamed(result, 'file', '/c/');
    expect(actions).toMatchObject([
      { input: 0, secondaryInput: 1, output: -1 },
      { input: 2, secondaryInput: 1, output: 0 },
    ]);
    expect(vertexNamed(result, '/c/').inputs).toHaveLength(2);
  });

  it('from scratch onto scratch has no inputs', async () => {
    const result = await convert('FROM scratch\nCOPY --from=scratch / /');
    expect(vertexNamed(result, '/ /').inputs).toEqual([]);
    expect(opNamed(result, 'file', '/ /').actions).toMatchObject([{ input: -1, secondaryInput: -1, output: 0 }]);
  });

  it('--link copies onto nothing and merges', async () => {
    const result = await convert('FROM x\nCOPY --link --chown=me a /b');
    const copied = vertexNamed(result, '[2/2] COPY --link --chown=me a /b');
    const merged = vertexNamed(result, '[2/2] LINK COPY --link --chown=me a /b');
    expect(opNamed(result, 'file', 'COPY --link --chown=me a /b').actions).toMatchObject([
      { input: -1, secondaryInput: 0, action: { owner: { user: { input: -1 } } } },
    ]);
    expect(merged.op).toEqual({ kind: 'merge', inputs: [0, 1] });
    expect(merged.inputs[1]?.vertex.digest).toBe(copied.digest);
    expect(copied.metadata.progressGroup).toMatchObject({ weak: true });
    expect(merged.metadata.progressGroup).toEqual({ ...copied.metadata.progressGroup, weak: false });
  });

  it('--link does not depend on the base; with --chmod it is a plain copy', async () => {
    const link = async (base: string, flags: string): Promise<string> =>
      vertexNamed(
        await convert(`FROM ${base}\nCOPY --link ${flags} a /b`),
        '2/2] COPY --link  a /b'.replace('  ', flags === '' ? '  ' : ` ${flags} `),
      ).digest;
    expect(await link('x', '')).toBe(await link('y', ''));
    expect(await link('x', '--chmod=1')).not.toBe(await link('y', '--chmod=1'));
  });

  it('--link onto scratch merges nothing', async () => {
    expect(names(await convert('FROM scratch\nCOPY --link a /b'))).toEqual([
      '[internal] load build context',
      '[1/1] COPY --link a /b',
    ]);
  });

  it('heredocs are files, expanded unless they are quoted', async () => {
    const result = await convert('FROM scratch\nARG v=1\nCOPY <<A <<-"B" <<C /d/\n"$v" \\$v\nA\n\t$v\nB\nC');
    const files = result.definition.vertices.flatMap(({ op }) =>
      op.kind === 'file' ? op.actions.flatMap(({ action }) => (action.kind === 'mkfile' ? action : [])) : [],
    );
    const text = new TextDecoder();
    expect(files.map((file) => [file.path, file.mode, text.decode(file.data)])).toEqual([
      ['/A', 0o644, '"1" $v\n'],
      ['/B', 0o644, '$v\n'],
      ['/C', 0o644, ''],
    ]);
    expect(
      opNamed(result, 'file', '/d/').actions.map(
        ({ action }) => action.kind === 'copy' && [action.src, action.allowWildcard],
      ),
    ).toEqual([
      ['/A', false],
      ['/B', false],
      ['/C', false],
    ]);
  });
});

describe('ADD from elsewhere', () => {
  const source = async (instruction: string): Promise<unknown> => {
    const result = await convert(`FROM scratch\n${instruction}`);
    return result.definition.vertices[0]?.op;
  };

  it.each<[string, string, Readonly<Record<string, string>>]>([
    ['ADD http://h/a/b.txt /', 'http://h/a/b.txt', { 'http.filename': 'b.txt' }],
    ['ADD http://h/a/b%20c?x=/y /', 'http://h/a/b%20c?x=/y', { 'http.filename': 'b c' }],
    ['ADD https://h/ /', 'https://h/', { 'http.filename': '__unnamed__' }],
    [
      `ADD --checksum=sha256:${'a'.repeat(64)} https://h/x /`,
      'https://h/x',
      { 'http.filename': 'x', 'http.checksum': `sha256:${'a'.repeat(64)}` },
    ],
    [
      'ADD --keep-git-dir=true --checksum=abc https://h/r.git#v1 /',
      'git://h/r.git#v1',
      {
        'git.fullurl': 'https://h/r.git',
        'git.authtokensecret': 'GIT_AUTH_TOKEN',
        'git.authheadersecret': 'GIT_AUTH_HEADER',
        'git.keepgitdir': 'true',
        'git.checksum': 'abc',
      },
    ],
    [
      'ADD git@h:r.git?submodules=0 /',
      'git://h/r.git',
      {
        'git.fullurl': 'git@h:r.git',
        'git.authtokensecret': 'GIT_AUTH_TOKEN',
        'git.authheadersecret': 'GIT_AUTH_HEADER',
        'git.mountsshsock': 'default',
        'git.skipsubmodules': 'true',
      },
    ],
  ])('%s', async (instruction, identifier, attrs) => {
    expect(await source(instruction)).toEqual({ kind: 'source', identifier, attrs });
  });

  it('does not unpack unless asked', async () => {
    expect(await copies('FROM x\nADD http://h/a.tar /d/')).toMatchObject([
      { src: '/a.tar', attemptUnpackDockerCompatibility: false, allowWildcard: false, followSymlink: false },
    ]);
    expect(await copies('FROM x\nADD --unpack http://h/a.tar /d/')).toMatchObject([
      { attemptUnpackDockerCompatibility: true },
    ]);
  });
});

describe('the build context', () => {
  const attrs = async (dockerfile: string, excludes: readonly string[] = []): Promise<unknown> => {
    const result = await convert(dockerfile, { context: { kind: 'local', sourceName: 'context', excludes } });
    const found = result.definition.vertices.find(
      ({ op }) => op.kind === 'source' && op.identifier === 'local://context',
    );
    return found?.op.kind === 'source' ? found.op.attrs : undefined;
  };

  it.each<[string, string, string | undefined]>([
    ['names what is copied', 'FROM x\nCOPY b ./a/../c* /', '["b","c*"]'],
    [
      'of all stages that are needed',
      'FROM x AS s\nCOPY z /\nFROM y AS unused\nCOPY n /\nFROM s\nADD a http://h/x /',
      '["a","z"]',
    ],
    ['and what is mounted', 'FROM x\nCOPY a /\nRUN --mount=source=m,target=/m x', '["a","m"]'],
    ['all of it for .', 'FROM x\nCOPY a /\nCOPY . /', undefined],
    ['all of it for a mount without source', 'FROM x\nRUN --mount=target=/m x', undefined],
    ['after expansion', 'FROM x\nARG d=q\nCOPY $d/r /', '["q/r"]'],
    ['heredocs are not of it', 'FROM x\nCOPY a <<E /\nE', '["a"]'],
  ])('%s', async (_, dockerfile, follow) => {
    expect(await attrs(dockerfile)).toEqual({
      'local.sharedkeyhint': 'context',
      ...(follow === undefined ? {} : { 'local.followpaths': follow }),
    });
  });

  it('carries the ignore patterns', async () => {
    expect(await attrs('FROM x\nCOPY a /', ['*', '!a<b'])).toMatchObject({
      'local.excludepatterns': '["*","!a\\u003cb"]',
    });
  });

  it('is one source for all its users', async () => {
    const result = await convert('FROM x AS s\nCOPY a /\nFROM y\nCOPY b /\nCOPY --from=s /c /');
    expect(result.definition.vertices.filter(({ op }) => op.kind === 'source')).toHaveLength(3);
    // Stages are known by the same vertices as the definition.
    const digests = new Set(result.definition.vertices.map(({ digest }) => digest));
    for (const stage of result.stages) expect(digests).toContain(stage.result?.vertex.digest);
  });

  it('may be a repository or an archive', async () => {
    const git = await convert('FROM scratch\nCOPY a /', { context: { kind: 'git', url: 'https://h/r.git#main:sub' } });
    expect(git.definition.vertices[0]?.op).toMatchObject({ identifier: 'git://h/r.git#main:sub' });
    const http = await convert('FROM scratch\nCOPY a /', {
      context: { kind: 'http', url: 'https://h/c.tgz', isArchive: true },
    });
    expect(http.definition.vertices.map(({ op }) => op.kind)).toEqual(['source', 'file', 'file']);
  });
});

describe('named contexts', () => {
  const local = (sourceName: string, excludes: readonly string[] = []) =>
    ({ kind: 'local', sourceName, excludes }) as const;

  it('take the place of images, in FROM and in --from, under any spelling', async () => {
    const contexts = { alpine: local('al'), 'ghcr.io/x/y:1': local('xy') };
    const result = await convert(
      'FROM docker.io/library/alpine:latest\nCOPY --from=ghcr.io/x/y:1 /a /b\nCOPY --from=alpine /c /d',
      { contexts },
    );
    const sources = result.definition.vertices.flatMap(({ op }) =>
      op.kind === 'source' ? [[op.identifier, op.attrs['local.followpaths']]] : [],
    );
    expect(sources).toEqual([
      ['local://al', undefined],
      ['local://xy', '["a"]'],
    ]);
    expect(result.config.config?.WorkingDir).toBe('/');
  });

  it('narrow to what is copied', async () => {
    const result = await convert('FROM scratch\nCOPY --from=c /x/y /z /', { contexts: { c: local('c', ['n']) } });
    expect(vertexNamed(result, '[context c] load from client').op).toEqual({
      kind: 'source',
      identifier: 'local://c',
      attrs: {
        'local.excludepatterns': '["n"]',
        'local.followpaths': '["x/y","z"]',
        'local.sharedkeyhint': 'context:c-',
      },
    });
  });

  it('take the place of stages, whose instructions are then not carried out', async () => {
    const result = await convert('FROM nowhere/x:1 AS dep\nRUN make\nFROM scratch\nCOPY --from=dep /a /', {
      contexts: { dep: local('dep') },
    });
    expect(names(result)).toEqual(['[context dep] load from client', '[stage-1 1/1] COPY --from=dep /a /']);
  });

  it('may be images: pinned, with their configuration', async () => {
    const result = await convert('FROM base\nRUN x', { contexts: { base: { kind: 'docker-image', ref: 'alpine' } } });
    expect(names(result)[0]).toBe('[context base] alpine');
    expect(vertexNamed(result, 'alpine').op).toMatchObject({
      identifier: `docker-image://docker.io/library/alpine:latest@sha256:${'2'.repeat(64)}`,
    });
    expect(result.config.history?.[0]).toEqual({ created_by: 'base' });
  });

  it('may be OCI layouts', async () => {
    const result = await convert('FROM base', { contexts: { base: { kind: 'oci-layout', ref: '/p/layout:tag' } } });
    expect(result.definition.vertices[0]).toMatchObject({
      op: {
        identifier: `oci-layout://docker.io/library/base@sha256:${'2'.repeat(64)}`,
        attrs: { 'oci.store': '/p/layout' },
      },
      platform: { os: 'linux', architecture: 'amd64' },
    });
  });

  it('prefer the one of the platform', async () => {
    const contexts = { 'a::linux/amd64': local('one'), a: local('two') };
    expect((await convert('FROM a\nRUN x', { contexts })).definition.vertices[0]?.op).toMatchObject({
      identifier: 'local://one',
    });
  });

  it('never replace scratch', async () => {
    const result = await convert('FROM scratch\nCOPY --from=scratch / /', {
      contexts: { scratch: local('no'), context: local('no') },
    });
    expect(names(result)).toEqual(['[stage-0 1/1] COPY --from=scratch / /']);
  });

  it('scratch itself may be named', async () => {
    const result = await convert('FROM base\nCOPY a /', {
      contexts: { base: { kind: 'docker-image', ref: 'scratch' } },
    });
    expect(vertexNamed(result, 'COPY a /').inputs).toHaveLength(1);
  });
});

describe('--pull', () => {
  it('is passed on', async () => {
    const result = await convert('FROM a', { pull: true });
    expect(result.definition.vertices[0]?.op).toMatchObject({ attrs: { 'image.resolvemode': 'pull' } });
  });
});
