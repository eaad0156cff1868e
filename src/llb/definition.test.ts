import { describe, expect, it } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { encode } from './codec.ts';
import { definition } from './definition.ts';
import { Definition as DefinitionMessage, Op as OpMessage } from './gen/ops.ts';
import type { PbOp } from './gen/ops.ts';
import { marshal } from './marshal.ts';
import { printDot, printJson, printMermaid } from './print.ts';
import type { Op, Vertex, VertexInput, VertexMetadata } from './types.ts';
import { unmarshal } from './unmarshal.ts';
import { digestOf, vertex } from './vertex.ts';

const file = { filename: 'Dockerfile', text: 'FROM x\nCOPY a "b"\n', language: 'Dockerfile' } as const;
const at = (line: number): VertexMetadata['location'] => ({
  file,
  ranges: [{ start: { line, column: 0 }, end: { line, column: 6 } }],
});

function source(identifier: string, metadata: VertexMetadata = {}): Vertex {
  return vertex({ kind: 'source', identifier, attrs: { b: '2', a: '' } }, [], {
    platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
    metadata,
  });
}

function merge(inputs: readonly Vertex[], metadata: VertexMetadata = {}): Vertex {
  const op: Op = { kind: 'merge', inputs: inputs.map((_, i) => i) };
  return vertex(
    op,
    inputs.map((input) => ({ vertex: input, index: 0 })),
    { metadata },
  );
}

function of(result: Vertex): VertexInput {
  return { vertex: result, index: 0 };
}

/** One op of every kind, with fields that are easily lost. */
function everything(): Vertex {
  const base = source('docker-image://x', { name: 'FROM x', location: at(1) });
  const timestamp = 1_700_000_000_000_000_001n;
  const made = vertex(
    {
      kind: 'file',
      actions: [
        {
          input: 0,
          secondaryInput: -1,
          output: -1,
          action: { kind: 'mkdir', path: '/d', mode: 0o755, makeParents: true, timestamp: -1n },
        },
        {
          input: 1,
          secondaryInput: -1,
          output: -1,
          action: { kind: 'mkfile', path: '/f', mode: 0o644, data: Uint8Array.of(0, 255), timestamp },
        },
        {
          input: 2,
          secondaryInput: -1,
          output: -1,
          action: { kind: 'rm', path: '/g', allowNotFound: true, allowWildcard: true },
        },
        {
          input: 3,
          secondaryInput: -1,
          output: 0,
          action: {
            kind: 'symlink',
            oldPath: 'f',
            newPath: '/l',
            owner: { user: { kind: 'name', name: 'me', input: 0 }, group: { kind: 'id', id: 0 } },
            timestamp: -1n,
          },
        },
      ],
    },
    [of(base)],
    { metadata: { name: 'COPY', location: at(2), ignoreCache: true } },
  );
  const run = vertex(
    {
      kind: 'exec',
      meta: {
        args: ['sh', '-c', ''],
        env: ['A='],
        cwd: '/w',
        user: 'u',
        proxyEnv: { httpProxy: 'p' },
        extraHosts: [{ host: 'h', ip: '10.0.0.1' }],
        hostname: 'n',
        ulimits: [{ name: 'nofile', soft: -1, hard: 1024 }],
        cgroupParent: 'g',
        removeMountStubsRecursive: true,
        validExitCodes: [0, 3],
      },
      mounts: [
        { input: 0, dest: '/', output: 0, readonly: false, type: { kind: 'bind' } },
        {
          input: 1,
          selector: '/s',
          dest: '/b',
          output: -1,
          readonly: true,
          type: { kind: 'bind' },
          contentCache: 'off',
        },
        { input: -1, dest: '/c', output: -1, readonly: false, type: { kind: 'cache', id: 'i', sharing: 'locked' } },
        { input: -1, dest: '/t', output: -1, readonly: false, type: { kind: 'tmpfs', size: 4096 } },
        {
          input: -1,
          dest: '/x',
          output: -1,
          readonly: false,
          type: { kind: 'secret', id: 's', uid: 1, gid: 2, mode: 0o400, optional: true },
        },
        {
          input: -1,
          dest: '/y',
          output: -1,
          readonly: false,
          type: { kind: 'ssh', id: '', uid: 0, gid: 0, mode: 0o600, optional: false },
        },
      ],
      network: 'none',
      security: 'insecure',
      secretEnv: [{ id: 's', name: 'S', optional: false }],
      cdiDevices: [{ name: 'd', optional: true }],
    },
    [of(made), of(base)],
    {
      platform: { os: 'linux', architecture: 'amd64' },
      metadata: {
        description: { 'com.docker.dockerfile.v1.command': 'RUN' },
        progressGroup: { id: 'p', name: 'q', weak: true },
      },
    },
  );
  const diff = vertex({ kind: 'diff', lower: 0, upper: 1 }, [of(base), of(run)]);
  const build = vertex({ kind: 'build', builder: -1, inputs: { 'buildkit.llb.definition': 0 }, attrs: { k: 'v' } }, [
    of(diff),
  ]);
  return merge([base, diff, build]);
}

describe('definition', () => {
  it('puts inputs first and each vertex once', () => {
    const [a, b] = [source('local://a'), source('local://b')];
    const left = merge([a, b]);
    const right = merge([b, source('local://a')]);
    const top = merge([left, right, left]);
    const { vertices, result } = definition(of(top));
    expect(vertices.map((v) => v.digest)).toEqual([a, b, left, right, top].map((v) => v.digest));
    expect(result?.vertex.digest).toBe(top.digest);
  });

  it('is empty for scratch', () => {
    expect(definition(undefined)).toEqual({ result: undefined, vertices: [] });
    expect(marshal(definition(undefined))).toHaveLength(0);
    expect(unmarshal(new Uint8Array())).toEqual({ result: undefined, vertices: [] });
    expect(printJson(definition(undefined))).toBe('');
  });

  it('merges the metadata of equal vertices, the later wins', () => {
    const first = source('local://a', { name: 'one', location: at(1), description: { x: '1' }, ignoreCache: true });
    const second = source('local://a', { name: 'two', location: at(2), description: { y: '2' } });
    const { vertices } = definition(of(merge([merge([first]), merge([second, second])])));
    expect(vertices.find((v) => v.digest === first.digest)?.metadata).toMatchObject({
      name: 'two',
      description: { x: '1', y: '2' },
      ignoreCache: true,
      location: { ranges: [{ start: { line: 1 } }, { start: { line: 2 } }] },
    });
  });

  it('does not recurse: chains may be long', () => {
    let top = source('local://a');
    for (let i = 0; i < 20_000; i++) top = vertex({ kind: 'diff', lower: -1, upper: 0 }, [of(top)]);
    expect(definition(of(top)).vertices).toHaveLength(20_001);
  });
});

describe('marshal', () => {
  it('is read back to the same graph', () => {
    const original = definition(of(everything()));
    const again = unmarshal(marshal(original));
    expect(again.vertices.map((v) => v.digest)).toEqual(original.vertices.map((v) => v.digest));
    expect(Buffer.from(marshal(again)).equals(marshal(original))).toBe(true);
    for (const [i, v] of again.vertices.entries()) {
      const expected = original.vertices[i]!;
      expect(v.op).toEqual(expected.op.kind === 'source' ? { ...expected.op } : expected.op);
      expect(v.platform).toEqual(expected.platform);
      expect(v.metadata.name).toBe(expected.metadata.name);
      expect(v.metadata.location).toEqual(expected.metadata.location);
      expect(v.metadata.progressGroup).toEqual(expected.metadata.progressGroup);
      expect(v.metadata.ignoreCache).toBe(expected.metadata.ignoreCache);
      // What was read makes the same bytes again.
      expect(vertex(v.op, v.inputs, { platform: v.platform }).digest).toBe(v.digest);
    }
  });

  it('asks for the capabilities of every op', () => {
    const lines = printJson(definition(of(everything())))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { opMetadata: { caps?: Record<string, boolean> } });
    expect(lines.map(({ opMetadata }) => Object.keys(opMetadata.caps ?? {}))).toEqual([
      ['source.image'],
      ['file.base', 'file.rm.wildcard', 'file.symlink.create'],
      [
        'exec.meta.base',
        'exec.meta.cdi',
        'exec.meta.cgroup.parent',
        'exec.meta.network',
        'exec.meta.proxyenv',
        'exec.meta.security',
        'exec.meta.ulimit',
        'exec.mount.bind',
        'exec.mount.cache',
        'exec.mount.cache.content',
        'exec.mount.cache.sharing',
        'exec.mount.secret',
        'exec.mount.selector',
        'exec.mount.ssh',
        'exec.mount.tmpfs',
        'exec.mount.tmpfs.size',
        'exec.secretenv',
        'exec.validexitcode',
      ],
      ['diffop'],
      [],
      ['mergeop'],
      ['constraints', 'meta.description', 'meta.ignorecache', 'platform'],
    ]);
  });
});

describe('unmarshal', () => {
  const leaf: PbOp = { source: { identifier: 'local://a' } };
  const input = (op: PbOp, index = 0n): { digest: string; index: bigint } => ({
    digest: digestOf(encode(OpMessage, op)),
    index,
  });
  const wire = (...ops: PbOp[]): Uint8Array =>
    encode(DefinitionMessage, { def: ops.map((op) => encode(OpMessage, op)) });
  const file2: PbOp = {
    inputs: [input(leaf)],
    file: { actions: [{ input: 5n, secondaryInput: -1n, rm: { path: '/' } }] },
  };

  it.each<[string, Uint8Array]>([
    ['no op but the terminal one', wire({ inputs: [] })],
    ['a terminal op without input', wire(leaf, {})],
    ['a last op that is none', wire(leaf, leaf)],
    ['two results', wire(leaf, { inputs: [input(leaf), input(leaf, 1n)] })],
    [
      'an input that comes later',
      wire({ inputs: [input(leaf)], merge: { inputs: [{ input: 0n }] } }, leaf, { inputs: [input(leaf)] }),
    ],
    ['a negative output', wire(leaf, { inputs: [input(leaf, -1n)] })],
    ['a file action that reads a later one', wire(leaf, file2, { inputs: [input(file2)] })],
    [
      'a mount of an input that is not there',
      wire(leaf, { exec: { meta: { args: ['x'] }, mounts: [{ dest: '/', input: 1n }] } }, { inputs: [input(leaf)] }),
    ],
    [
      'an exec without root',
      wire(leaf, { exec: { meta: { args: ['x'] }, mounts: [{ dest: '/x' }] } }, { inputs: [input(leaf)] }),
    ],
    [
      'an exec without arguments',
      wire(leaf, { exec: { meta: {}, mounts: [{ dest: '/' }] } }, { inputs: [input(leaf)] }),
    ],
    [
      'an unknown mount type',
      wire(
        leaf,
        { exec: { meta: { args: ['x'] }, mounts: [{ dest: '/', mountType: 99 }] } },
        { inputs: [input(leaf)] },
      ),
    ],
    ['an op of no kind', wire({ inputs: [] }, leaf, { inputs: [input(leaf)] })],
    ['garbage', Uint8Array.of(0x0a, 0xff)],
  ])('refuses %s', (_, bytes) => {
    expect(() => unmarshal(bytes)).toThrow(BuildError);
  });

  it('takes ops that others wrote otherwise, under their digests', () => {
    // Field 11 before field 3, as BuildKit's daemon writes it, and an unknown field.
    const bytes = Uint8Array.of(0x5a, 0x00, 0x1a, 0x0b, 0x0a, 0x09, ...Buffer.from('local://a'), 0xa0, 0x06, 0x01);
    const terminal = encode(OpMessage, { inputs: [{ digest: digestOf(bytes), index: 0n }] });
    const read = unmarshal(encode(DefinitionMessage, { def: [bytes, terminal] }));
    expect(read.vertices).toMatchObject([{ digest: digestOf(bytes), op: { kind: 'source', identifier: 'local://a' } }]);
  });
});

describe('printing', () => {
  const graph = definition(
    of(merge([source('local://a', { name: 'say "hi" #1' }), source('docker-image://b')], { name: 'all' })),
  );

  it('writes DOT', () => {
    const text = printDot(graph);
    expect(text).toContain('v0 [label="say \\"hi\\" #1"');
    expect(text).toContain('v0 -> v2');
    expect(text).toContain('v1 -> v2');
  });

  it('writes Mermaid', () => {
    expect(printMermaid(graph)).toBe(
      [
        'flowchart LR',
        '  v0(["say #quot;hi#quot; #35;1"])',
        '  v1(["docker-image://b"])',
        '  v2["all"]',
        '  v0 --> v2',
        '  v1 --> v2',
        '',
      ].join('\n'),
    );
  });

  it('writes JSON lines', () => {
    const lines = printJson(definition(of(everything())))
      .trim()
      .split('\n');
    expect(lines).toHaveLength(7);
    const made = JSON.parse(lines[1]!) as { op: { file: { actions: unknown[] } }; source: unknown };
    expect(made.op.file.actions).toEqual([
      { secondaryInput: -1, output: -1, mkdir: { path: '/d', mode: 493, makeParents: true, timestamp: -1 } },
      {
        input: 1,
        secondaryInput: -1,
        output: -1,
        mkfile: { path: '/f', mode: 420, data: 'AP8=', timestamp: '1700000000000000001' },
      },
      { input: 2, secondaryInput: -1, output: -1, rm: { path: '/g', allowNotFound: true, allowWildcard: true } },
      {
        input: 3,
        secondaryInput: -1,
        symlink: {
          oldpath: 'f',
          newpath: '/l',
          owner: { user: { byName: { name: 'me' } }, group: { byID: 0 } },
          timestamp: -1,
        },
      },
    ]);
    expect(made.source).toEqual({
      filename: 'Dockerfile',
      ranges: [{ start: { line: 2, character: 0 }, end: { line: 2, character: 6 } }],
    });
  });
});
