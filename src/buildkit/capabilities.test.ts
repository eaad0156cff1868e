import { expect, it } from 'vitest';
import { daemonDigests, definition, marshal, vertex } from '../llb/index.ts';
import type { CopyAction, Op, Vertex } from '../llb/index.ts';
import { adapt, readCapabilities } from './capabilities.ts';

const modern = new Set([
  'source.local',
  'source.local.sessionid',
  'source.local.followpaths',
  'source.local.sharedkeyhint',
  'source.ocilayout',
  'source.image',
  'file.base',
  'file.copy.modestring',
  'mergeop',
  'exec.meta.base',
  'exec.mount.bind',
  'exec.meta.setsdefaultpath',
]);
const old = new Set([
  'source.local',
  'source.local.sessionid',
  'source.image',
  'file.base',
  'exec.meta.base',
  'exec.mount.bind',
]);
const layouts: string[] = [];
const change = (result: Vertex, llb: ReadonlySet<string>) =>
  adapt(definition({ vertex: result, index: 0 }), {
    capabilities: { llb, gateway: new Set() },
    where: 'the daemon',
    sessionId: 'session',
    layoutStore: (path) => `id${layouts.push(path)}`,
  });
const source = (identifier: string, attrs: Readonly<Record<string, string>> = {}): Vertex =>
  vertex({ kind: 'source', identifier, attrs }, [], { metadata: { name: identifier } });
const copyOf = (more: Partial<CopyAction> = {}): CopyAction => ({
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
  ...more,
});
const copy = (from: Vertex, more: Partial<CopyAction> = {}): Vertex =>
  vertex(
    { kind: 'file', actions: [{ input: -1, secondaryInput: 0, output: 0, action: copyOf(more) }] },
    [{ vertex: from, index: 0 }],
    {
      metadata: { location: { file: { filename: 'Dockerfile', text: '', language: 'Dockerfile' }, ranges: [] } },
    },
  );
const attrsOf = (found: ReturnType<typeof change>, scheme: string) => {
  const op = found.definition.vertices
    .map((v) => v.op)
    .find((o) => o.kind === 'source' && o.identifier.startsWith(scheme));
  return op?.kind === 'source' ? op.attrs : undefined;
};

it('local sources are of this session, and lose what a daemon does not know', () => {
  const local = source('local://context', { 'local.followpaths': '["a"]', 'local.sharedkeyhint': 'context' });
  expect(attrsOf(change(copy(local), modern), 'local://')).toEqual({
    'local.followpaths': '["a"]',
    'local.sharedkeyhint': 'context',
    'local.session': 'session',
  });
  expect(attrsOf(change(copy(local), old), 'local://')).toEqual({ 'local.session': 'session' });
  const many = source('local://context', {
    'local.followpaths': JSON.stringify(Array.from({ length: 5000 }, (_, i) => `path${i}`)),
  });
  expect(attrsOf(change(copy(many), modern), 'local://')).toEqual({ 'local.session': 'session' });
});

it('layouts are served by the session under an id', () => {
  const layout = source('oci-layout://x@sha256:0', { 'oci.store': '/my/layout' });
  expect(attrsOf(change(copy(layout), modern), 'oci-layout://')).toEqual({
    'oci.store': `id${layouts.length}`,
    'oci.session': 'session',
  });
  expect(layouts.at(-1)).toBe('/my/layout');
});

it('vertices keep what they stand for', () => {
  const before = copy(source('local://context'));
  const { definition: after, originals } = change(before, modern);
  expect(after.result?.vertex.digest).not.toBe(before.digest);
  expect(originals.get(after.result?.vertex.digest ?? 'sha256:')).toBe(before.digest);
  expect(after.result?.vertex.metadata.location).toBe(before.metadata.location);
});

it('merges become copies where there are none', () => {
  const parts = [source('docker-image://a'), source('docker-image://b'), source('docker-image://c')];
  const merge = vertex(
    { kind: 'merge', inputs: [0, 1, 2] },
    parts.map((part) => ({ vertex: part, index: 0 })),
  );
  expect(change(merge, modern).definition.result?.vertex.op.kind).toBe('merge');
  const op = change(merge, old).definition.result?.vertex.op;
  expect(
    op?.kind === 'file' ? op.actions.map(({ input, secondaryInput, output }) => [input, secondaryInput, output]) : op,
  ).toEqual([
    [0, 1, -1],
    [3, 2, 0],
  ]);
});

it('steps get a PATH from us where the daemon sets none', () => {
  const exec = (env: readonly string[]): Vertex => {
    const op: Op = {
      kind: 'exec',
      network: 'sandbox',
      security: 'sandbox',
      secretEnv: [],
      cdiDevices: [],
      meta: {
        args: ['x'],
        env,
        cwd: '/',
        user: '',
        extraHosts: [],
        hostname: '',
        ulimits: [],
        cgroupParent: '',
        removeMountStubsRecursive: true,
        validExitCodes: [],
      },
      mounts: [{ input: 0, dest: '/', output: 0, readonly: false, type: { kind: 'bind' } }],
    };
    return vertex(op, [{ vertex: source('docker-image://a'), index: 0 }]);
  };
  const envOf = (llb: ReadonlySet<string>, env: readonly string[]) => {
    const op = change(exec(env), llb).definition.result?.vertex.op;
    return op?.kind === 'exec' ? op.meta.env : undefined;
  };
  expect(envOf(modern, ['A=1'])).toEqual(['A=1']);
  expect(envOf(old, ['A=1'])).toEqual(['A=1', expect.stringMatching(/^PATH=\//) as string]);
  expect(envOf(old, ['PATH=/x'])).toEqual(['PATH=/x']);
});

it('what cannot be said otherwise is an error at the instruction', () => {
  const made = copy(source('local://context'), { modeStr: 'u+x' });
  expect(() => change(made, old)).toThrow(
    expect.objectContaining({
      code: 'builder',
      message: 'the daemon is too old for this build: it lacks file.copy.modestring',
      location: made.metadata.location,
    }) as Error,
  );
});

it('what a daemon understands without listing it is not asked for by name', () => {
  const made = copy(source('local://context'), { modeStr: 'u+x' });
  const since017 = new Set([...old, 'file.symlink.create']);
  const { definition: adapted } = change(made, since017);
  expect(adapted.result?.vertex.op).toMatchObject({ actions: [{ action: { modeStr: 'u+x' } }] });
  const text = (known?: ReadonlySet<string>): string => Buffer.from(marshal(adapted, known)).toString('latin1');
  expect(text()).toContain('file.copy.modestring');
  expect(text(since017)).not.toContain('file.copy.modestring');
  expect(text(since017)).toContain('file.base');
});

it('a stage that another daemon made comes from a layout', () => {
  const stage = copy(source('docker-image://x'));
  const user = vertex(stage.op, [
    { vertex: stage, index: 0 },
    { vertex: source('local://context'), index: 0 },
  ]);
  const digest = `sha256:${'a'.repeat(64)}` as const;
  const { definition: adapted, originals } = adapt(definition({ vertex: user, index: 0 }), {
    capabilities: { llb: modern, gateway: new Set() },
    where: 'the daemon',
    sessionId: 's',
    layoutStore: (path) => `store of ${path}`,
    moved: new Map([[stage.digest, { layout: '/l', digest, name: 'from elsewhere' }]]),
  });
  const [taken] = adapted.vertices.filter(({ op }) => op.kind === 'source' && op.identifier.startsWith('oci-layout:'));
  expect(taken).toMatchObject({
    op: {
      identifier: `oci-layout://slipway/stage@${digest}`,
      attrs: { 'oci.store': 'store of /l', 'oci.session': 's' },
    },
    inputs: [],
    metadata: { name: 'from elsewhere' },
  });
  expect(originals.get(taken?.digest ?? digest)).toBe(stage.digest);
  // What only it needed is gone.
  expect(adapted.vertices).toHaveLength(3);
});

it('only what is enabled counts', () => {
  expect(readCapabilities({ LLBCaps: [{ ID: 'a', Enabled: true }, { ID: 'b' }] })).toEqual({
    llb: new Set(['a']),
    gateway: new Set(),
  });
});

it('a daemon names ops by bytes of its own: members of a oneof come last', () => {
  const exec = change(copy(source('docker-image://x')), modern).definition;
  const theirs = daemonDigests(exec);
  expect(new Set(theirs.values())).toEqual(new Set(exec.vertices.map(({ digest }) => digest)));
  // Seen from a daemon: the source above alone, linux/amd64.
  const image = vertex(
    { kind: 'source', identifier: 'docker-image://docker.io/library/busybox:latest', attrs: {} },
    [],
    { platform: { os: 'linux', architecture: 'amd64' } },
  );
  const [daemon] = [...daemonDigests(definition({ vertex: image, index: 0 })).keys()];
  expect(daemon).not.toBe(image.digest);
});
