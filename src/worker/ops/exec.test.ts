/** Exec ops carried out: from the vertex to the new layer, on the real kernel. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BuildEvent, FileTree, Layer, LayerId, NodeEntry, Snapshot, WorkContext } from '../../contracts/index.ts';
import { openFixture, outline, type Fixture } from '../../executor/test-fixture.ts';
import { snapshotOf } from '../../image/index.ts';
import type { Mount, Op, Vertex } from '../../llb/index.ts';
import type { WorkerDeps } from '../types.ts';
import { runExec } from './exec.ts';
import { lastLines } from './last-lines.ts';

let fixture: Fixture;
let deps: WorkerDeps;
beforeAll(async () => {
  fixture = await openFixture();
  const { store, executor } = fixture;
  deps = {
    store,
    executor,
    sources: { storeLayer } as unknown as WorkerDeps['sources'],
    secrets: (id) => (id === 'token' ? Buffer.from('sesame') : undefined),
    ssh: () => undefined,
  };
});
afterAll(async () => {
  await fixture.close();
});

function storeLayer(id: LayerId): Layer {
  return { id, tree: () => fixture.store.readTree(id), blob: async () => undefined } as unknown as Layer;
}

type ExecOp = Extract<Op, { readonly kind: 'exec' }>;
const ROOT: Mount = { input: 0, dest: '/', output: 0, readonly: false, type: { kind: 'bind' } };
const META: ExecOp['meta'] = {
  args: [],
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

interface Outcome {
  readonly outputs: readonly Snapshot[];
  readonly said: string;
}

async function run(
  script: string,
  more: {
    readonly op?: Partial<ExecOp>;
    readonly meta?: Partial<ExecOp['meta']>;
    readonly inputs?: readonly Snapshot[];
  } = {},
): Promise<Outcome> {
  const meta = { ...META, args: ['/bin/sh', '-c', script], ...more.meta };
  const op: ExecOp = {
    kind: 'exec',
    mounts: [ROOT],
    network: 'sandbox',
    security: 'sandbox',
    secretEnv: [],
    cdiDevices: [],
    ...more.op,
    meta,
  };
  const said: Buffer[] = [];
  const context: WorkContext = {
    signal: new AbortController().signal,
    location: undefined,
    events(event: BuildEvent) {
      if (event.type === 'log') said.push(Buffer.from(event.data));
    },
  };
  const inputs = more.inputs ?? [snapshotOf([storeLayer(fixture.base)])];
  const vertex: Vertex = { digest: `sha256:${'0'.repeat(64)}`, op, inputs: [], bytes: new Uint8Array(0), metadata: {} };
  const outputs = await runExec(vertex, inputs, context, deps);
  return { outputs, said: Buffer.concat(said).toString('utf8') };
}

const treeOf = async (snapshot: Snapshot | undefined): Promise<readonly string[]> =>
  outline(await snapshot?.layers.at(-1)?.tree());

describe('an exec op', () => {
  it('makes one layer more, which the store has whole', async () => {
    const { outputs, said } = await run('echo hi; echo 1 > /x');
    expect(said).toBe('hi\n');
    expect(outputs).toHaveLength(1);
    expect(outputs[0]?.layers.map(({ id }) => id)[0]).toBe(fixture.base);
    expect(await treeOf(outputs[0])).toEqual(['x file']);
    const row = fixture.store.layer(outputs[0]?.layers[1]?.id ?? '');
    expect(row).toMatchObject({ hasDir: true, hasTree: true, size: 2 });
  });

  it('fails as BuildKit says it, with what the step said last', async () => {
    const script = 'i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; exit 2';
    await expect(run(script)).rejects.toMatchObject({
      code: 'run-failed',
      exitCode: 2,
      message: `process ${JSON.stringify(`/bin/sh -c ${script}`)} did not complete successfully: exit code: 2`,
      detail: Array.from({ length: 20 }, (_, i) => `line ${i + 30}`),
    });
  });

  it.each([
    ['a command that is not there', 'no-such-thing', 127, /not found: is it installed/],
    ['a file without its mode', '/etc/passwd', 126, /chmod \+x/],
    ['a kill', "sh -c 'kill -9 $$'; exit $?", 137, /killed \(SIGKILL\)/],
  ])('hints at %s', async (_, script, exitCode, hint) => {
    await expect(run(script)).rejects.toMatchObject({
      code: 'run-failed',
      exitCode,
      hint: expect.stringMatching(hint) as string,
    });
  });

  it('says the same of a program that cannot be started', async () => {
    await expect(run('', { meta: { args: ['/nope', 'x'] } })).rejects.toMatchObject({
      code: 'run-failed',
      exitCode: 127,
      message: 'process "/nope x" did not complete successfully: exit code: 127',
    });
  });

  it('accepts other exit codes', async () => {
    const { outputs } = await run('echo 1 > /x; exit 4', { meta: { validExitCodes: [4] } });
    expect(await treeOf(outputs[0])).toEqual(['x file']);
  });

  it('has the proxies in both spellings, and a PATH', async () => {
    const { said } = await run('env | grep -iE "proxy|^PATH" | sort', {
      meta: {
        env: [],
        proxyEnv: { httpProxy: 'http://p', noProxy: 'x' },
        args: ['/bin/sh', '-c', '/bin/env | /bin/grep -iE "proxy|^PATH" | /bin/sort'],
      },
    });
    expect(said).toBe(
      'HTTP_PROXY=http://p\nNO_PROXY=x\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nhttp_proxy=http://p\nno_proxy=x\n',
    );
  });

  it('without an output keeps nothing; with a read-only root writes nothing', async () => {
    const { outputs } = await run('echo 1 > /x', { op: { mounts: [{ ...ROOT, output: -1 }] } });
    expect(outputs).toEqual([]);
    await expect(
      run('echo 1 > /x', { op: { mounts: [{ ...ROOT, output: -1, readonly: true }] } }),
    ).rejects.toMatchObject({
      code: 'run-failed',
    });
  });

  it('gives out again what a read-only mount had', async () => {
    const input = snapshotOf([storeLayer(await fixture.layer(() => undefined))]);
    const mounts: readonly Mount[] = [
      ROOT,
      { input: 1, dest: '/m', output: 1, readonly: true, type: { kind: 'bind' } },
    ];
    const { outputs } = await run('true', { op: { mounts }, inputs: [snapshotOf([storeLayer(fixture.base)]), input] });
    expect(outputs[1]).toBe(input);
  });

  it('runs nothing insecure unless that is allowed', async () => {
    await expect(run('true', { op: { security: 'insecure' } })).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe('secrets', () => {
  const secret = (id: string, optional: boolean): Mount => ({
    input: -1,
    dest: '/run/secrets/s',
    output: -1,
    readonly: false,
    type: { kind: 'secret', id, uid: 0, gid: 0, mode: 0o400, optional },
  });

  it('are a file or a variable', async () => {
    const { said, outputs } = await run('cat /run/secrets/s; echo " $T"', {
      op: { mounts: [ROOT, secret('token', false)], secretEnv: [{ id: 'token', name: 'T', optional: false }] },
    });
    expect(said).toBe('sesame sesame\n');
    expect(await treeOf(outputs[0])).toEqual([]);
  });

  it('may be missing when they are optional', async () => {
    const { said } = await run('ls /run 2>/dev/null; echo "[$T]"', {
      op: { mounts: [ROOT, secret('other', true)], secretEnv: [{ id: 'other', name: 'T', optional: true }] },
    });
    expect(said).toBe('[]\n');
  });

  it.each([
    ['a file', { mounts: [ROOT, secret('other', false)] }],
    ['a variable', { secretEnv: [{ id: 'other', name: 'T', optional: false }] }],
  ])('are asked for when they are not: %s', async (_, op) => {
    await expect(run('true', { op })).rejects.toMatchObject({ code: 'usage', message: 'secret other: not found' });
  });

  it('so are ssh agents', async () => {
    const mount: Mount = {
      input: -1,
      dest: '/run/agent',
      output: -1,
      readonly: false,
      type: { kind: 'ssh', id: 'default', uid: 0, gid: 0, mode: 0o600, optional: false },
    };
    await expect(run('true', { op: { mounts: [ROOT, mount] } })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('a build context as a mount', () => {
  const entries = new Map<string, NodeEntry>([
    ['a', { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 1, mtimeNsec: 0 }],
    ['a/f', { type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 1, mtimeNsec: 0, size: 2 }],
    ['b', { type: 'file', mode: 0o600, uid: 0, gid: 0, mtime: 1, mtimeNsec: 0, size: 2 }],
  ]);
  const bytes = new Map([
    ['a/f', 'f\n'],
    ['b', 'b\n'],
  ]);
  const asked: string[] = [];
  const files: FileTree = {
    lookup: async (path) => entries.get(path),
    list: async () => undefined,
    walk: async (path) => [...entries].filter(([name]) => path === '' || name.startsWith(`${path}/`)),
    async digests(paths) {
      asked.push(...paths);
      const { createHash } = await import('node:crypto');
      return paths.map(
        (path) =>
          `sha256:${createHash('sha256')
            .update(bytes.get(path) ?? '')
            .digest('hex')}` as const,
      );
    },
    locate: async (paths) => Array.from(paths, (path) => ({ kind: 'bytes', data: Buffer.from(bytes.get(path) ?? '') })),
  };
  const context: Snapshot = { layers: [], files, inPlace: true };
  const inputs = (): readonly Snapshot[] => [snapshotOf([storeLayer(fixture.base)]), context];

  it.each([
    ['', 'cat /m/a/f /m/b', 'f\nb\n', ['a/f', 'b']],
    ['/a', 'ls /m; cat /m/f', 'f\nf\n', ['a/f']],
    ['b', 'cat /m; stat -c %a /m', 'b\n600\n', ['b']],
  ])('%j', async (selector, script, expected, needed) => {
    asked.length = 0;
    const mounts: readonly Mount[] = [
      ROOT,
      { input: 1, selector, dest: '/m', output: -1, readonly: true, type: { kind: 'bind' } },
    ];
    const { said } = await run(script, { op: { mounts }, inputs: inputs() });
    expect(said).toBe(expected);
    expect(asked).toEqual(needed);
    // The same again takes no second look.
    await run(script, { op: { mounts }, inputs: inputs() });
    expect(asked).toEqual(needed);
  });
});

describe('the last lines', () => {
  it.each([
    [['a\nb\nc\n'], ['b', 'c']],
    [
      ['a\n', 'b', 'c'],
      ['a', 'bc'],
    ],
    [[], []],
    [['\n\n'], ['', '']],
  ])('of %j', (chunks, expected) => {
    const said = lastLines(2);
    for (const chunk of chunks) said.add(Buffer.from(chunk));
    expect(said.lines()).toEqual(expected);
  });

  it('of much are few', () => {
    const said = lastLines(1);
    for (let i = 0; i < 1000; i++) said.add(Buffer.alloc(1000, 0x78));
    expect(said.lines()[0]?.length).toBeLessThan(20_000);
  });
});
