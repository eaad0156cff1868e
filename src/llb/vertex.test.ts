import { describe, expect, it } from 'vitest';
import type { ExecMeta, Mount, Op, VertexInput } from './types.ts';
import { mountOutput, vertex, withMetadata } from './vertex.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };

function image(name: string): VertexInput {
  const op: Op = { kind: 'source', identifier: `docker-image://docker.io/library/${name}:latest`, attrs: {} };
  return { vertex: vertex(op, [], { platform: amd64 }), index: 0 };
}

const meta: ExecMeta = {
  args: ['/bin/true'],
  env: ['PATH=/bin'],
  cwd: '/',
  user: '',
  extraHosts: [],
  hostname: '',
  ulimits: [],
  cgroupParent: '',
  removeMountStubsRecursive: true,
  validExitCodes: [],
};

function exec(mounts: readonly Mount[]): Op {
  return { kind: 'exec', meta, mounts, network: 'sandbox', security: 'sandbox', secretEnv: [], cdiDevices: [] };
}

function bind(dest: string, input: number, output: number): Mount {
  return { input, dest, output, readonly: output < 0, type: { kind: 'bind' } };
}

const cp = {
  kind: 'copy',
  src: '/a',
  dest: '/b',
  mode: -1,
  followSymlink: false,
  dirCopyContents: false,
  attemptUnpackDockerCompatibility: false,
  createDestPath: true,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1n,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
  requiredPaths: [],
} as const;

describe('vertex', () => {
  it('names a vertex by its bytes, the same everywhere and always', () => {
    // Digests and bytes stand in users' stores: they may never change.
    const base = image('alpine');
    expect(Buffer.from(base.vertex.bytes).toString('hex')).toBe(
      '1a300a2e646f636b65722d696d6167653a2f2f646f636b65722e696f2f6c6962726172792f616c70696e653a6c6174657374' +
        '520e0a05616d64363412056c696e75785a00',
    );
    const run = vertex(exec([bind('/', 0, 0)]), [base], { platform: amd64 });
    expect([base.vertex.digest, run.digest]).toMatchInlineSnapshot(`
      [
        "sha256:665ba8b2cdc0cb0200e2a42a6b3c0f8f684089f4cd1b81494fbb9805879120f7",
        "sha256:2e9bdf06e8b27077c7492055f2842b6faf27df8e4e9bfeb64551dabaa0b624a6",
      ]
    `);
  });

  it('leaves metadata out of the digest', () => {
    const { vertex: plain } = image('alpine');
    expect(withMetadata(plain, { name: 'x', ignoreCache: true }).digest).toBe(plain.digest);
  });

  it.each([
    ['docker-image://x', true],
    ['oci-layout://x', true],
    ['docker-image+blob://x', false],
    ['local://context', false],
    ['git://x', false],
    ['https://x', false],
  ])('keeps the platform of a source only where it matters: %s', (identifier, kept) => {
    const source = vertex({ kind: 'source', identifier, attrs: {} }, [], { platform: amd64 });
    expect(source.platform !== undefined).toBe(kept);
  });

  it('sorts mounts by destination and gives them outputs in that order', () => {
    const [a, b] = [image('a'), image('b')];
    const secret: Mount = {
      input: -1,
      dest: '/aaa',
      output: -1,
      readonly: false,
      type: { kind: 'secret', id: 's', uid: 0, gid: 0, mode: 0o400, optional: false },
    };
    const cache: Mount = {
      input: -1,
      dest: '/cache',
      output: -1,
      readonly: false,
      type: { kind: 'cache', id: 'c', sharing: 'shared' },
    };
    const run = vertex(exec([secret, bind('/z', 1, 0), cache, bind('/', 0, 0), bind('/a', 1, -1)]), [a, b], {
      platform: amd64,
    });
    expect(run.op.kind === 'exec' && run.op.mounts.map((m) => [m.dest, m.input, m.output])).toEqual([
      ['/', 0, 0],
      ['/a', 1, -1],
      ['/cache', -1, -1],
      ['/z', 1, 1],
      ['/aaa', -1, -1],
    ]);
    expect(mountOutput(run, '/z')).toEqual({ vertex: run, index: 1 });
    expect(mountOutput(run, '/a')).toBeUndefined();
  });

  it('makes equal inputs one, in the order of their use', () => {
    const [a, b] = [image('a'), image('b')];
    const run = vertex(exec([bind('/y', 0, -1), bind('/', 1, 0), bind('/x', 2, -1)]), [a, b, image('a')], {
      platform: amd64,
    });
    expect(run.inputs.map((input) => input.vertex.digest)).toEqual([b.vertex.digest, a.vertex.digest]);
    expect(run.op.kind === 'exec' && run.op.mounts.map((m) => [m.dest, m.input])).toEqual([
      ['/', 0],
      ['/x', 1],
      ['/y', 1],
    ]);
  });

  it('renumbers file actions and owners when inputs become one', () => {
    const a = image('a');
    const owner = { user: { kind: 'name', name: 'me', input: 2 } } as const;
    const file = vertex(
      {
        kind: 'file',
        actions: [
          { input: 0, secondaryInput: 1, output: -1, action: cp },
          // 3 = the result of the first action.
          { input: 3, secondaryInput: 2, output: 0, action: { ...cp, owner } },
        ],
      },
      [a, image('b'), image('a')],
    );
    expect(file.inputs).toHaveLength(2);
    expect(file.op.kind === 'file' && file.op.actions).toMatchObject([
      { input: 0, secondaryInput: 1 },
      { input: 2, secondaryInput: 0, action: { owner: { user: { input: 0 } } } },
    ]);
    expect(vertex(file.op, file.inputs).digest).toBe(file.digest);
  });
});
