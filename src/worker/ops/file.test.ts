import { describe, expect, test } from 'vitest';
import { vertex } from '../../llb/index.ts';
import type { FileAction, FileActionKind } from '../../llb/index.ts';
import type { BuildEvent, Digest, Layer, LayerId, Snapshot, Tree } from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import type { Sources } from '../../source/index.ts';
import type { Store } from '../../store/index.ts';
import { NOW, copyAction, mkDir, mkFile } from '../testing/actions.ts';
import { describeTree, digestOf, dir, file, hard, link, memoryTree } from '../testing/memory-tree.ts';
import type { Literal } from '../testing/memory-tree.ts';
import { createContents } from './contents.ts';
import { runFileOp } from './file.ts';
import { createSelections } from './selections.ts';

/** A store that only numbers layers. */
function fakeStore(): Store {
  let last = 0;
  return {
    newLayer: () => `t${++last}`,
    writeTree: async () => undefined,
    saveLayer: () => undefined,
    layer: () => undefined,
  } as unknown as Store;
}

let numbered = 0;
/** A snapshot of one layer. */
async function snapshot(literals: Record<string, Literal>): Promise<Snapshot> {
  const memory = memoryTree(literals);
  const tree: Tree = new Map(await memory.walk(''));
  const id: LayerId = `base${++numbered}`;
  const layer: Layer = {
    id,
    tree: async () => tree,
    digests: async (paths) => memory.digests(paths),
    locate: async (paths) => memory.locate(paths),
    blob: async () => undefined,
  };
  return snapshotOf([layer]);
}

const events: BuildEvent[] = [];
const context = {
  signal: new AbortController().signal,
  events: (event: BuildEvent) => events.push(event),
  location: undefined,
};

async function run(actions: readonly FileAction[], inputs: readonly Snapshot[]): Promise<readonly Snapshot[]> {
  const source = vertex({ kind: 'source', identifier: 'local://context', attrs: {} }, []);
  const node = vertex(
    { kind: 'file', actions },
    inputs.map((_, index) => ({ vertex: source, index })),
  );
  const store = fakeStore();
  const deps = {
    store,
    sources: {} as Sources,
    selections: createSelections(),
    contents: createContents(store),
    now: () => NOW,
  };
  return runFileOp(node, actions, inputs, context, deps);
}

/** Actions one after the other on input 0, the last one the output. */
function chain(actions: readonly FileActionKind[], inputs: number, secondaryInput = inputs - 1): FileAction[] {
  return actions.map((action, i) => ({
    input: i === 0 ? (inputs === 0 ? -1 : 0) : inputs + i - 1,
    secondaryInput: action.kind === 'copy' ? secondaryInput : -1,
    output: i === actions.length - 1 ? 0 : -1,
    action,
  }));
}

async function layerOf(result: Snapshot | undefined, at = -1): Promise<string[]> {
  return describeTree((await result?.layers.at(at)?.tree()) ?? new Map());
}

async function one(actions: readonly FileActionKind[], base: Record<string, Literal>): Promise<string[]> {
  const [result] = await run(chain(actions, 1), [await snapshot(base)]);
  expect(result?.layers.length).toBe(2);
  return layerOf(result);
}

describe('mkdir', () => {
  test.each<[string, FileActionKind[], Record<string, Literal>, string[]]>([
    ['makes what is missing', [mkDir('/a/b')], {}, ['a/ 0755 0:0', 'a/b/ 0755 0:0']],
    ['changes nothing that is there', [mkDir('/a/b', { mode: 0o700 })], { 'a/b': dir({ mode: 0o711, uid: 4 }) }, []],
    ['follows links', [mkDir('/l/b')], { l: link('/real'), real: dir() }, ['real/b/ 0755 0:0']],
    [
      'gives all it makes the owner and mode',
      [mkDir('/a/b', { mode: 0o750, owner: { user: { kind: 'id', id: 9 } } })],
      {},
      ['a/ 0750 9:9', 'a/b/ 0750 9:9'],
    ],
    ['without parents makes one', [mkDir('/a/b', { makeParents: false })], { a: dir() }, ['a/b/ 0755 0:0']],
  ])('%s', async (_, actions, base, layer) => {
    expect(await one(actions, base)).toEqual(layer);
  });

  test('does not go through files', async () => {
    await expect(one([mkDir('/f/b')], { f: 'x' })).rejects.toMatchObject({ code: 'copy' });
    await expect(one([mkDir('/a/b', { makeParents: false })], {})).rejects.toMatchObject({ code: 'copy' });
  });
});

describe('mkfile', () => {
  test('writes, replaces, and follows the link at the end', async () => {
    const actions = [mkFile('/new', 'abc'), mkFile('/old', 'x', { mode: 0o600 }), mkFile('/l', 'yy')];
    expect(await one(actions, { old: 'before', l: link('/etc/real'), etc: dir() })).toEqual([
      'etc/real file 0644 0:0 2',
      'new file 0644 0:0 3',
      'old file 0600 0:0 1',
    ]);
  });

  test('replaces a device without opening it', async () => {
    expect(await one([mkFile('/dev/sda', 'x')], { 'dev/sda': { type: 'block-device' } })).toEqual([
      'dev/sda file 0644 0:0 1',
    ]);
  });

  test('is no directory and needs one', async () => {
    await expect(one([mkFile('/d', '')], { d: dir() })).rejects.toMatchObject({ code: 'copy' });
    await expect(one([mkFile('/none/f', '')], {})).rejects.toMatchObject({ code: 'copy' });
  });
});

test('symlink', async () => {
  const action: FileActionKind = { kind: 'symlink', oldPath: '../x', newPath: '/l', timestamp: 7n * 10n ** 9n };
  expect(await one([action], {})).toEqual(['l -> ../x 0:0']);
  await expect(one([action], { l: 'there' })).rejects.toMatchObject({ code: 'copy' });
});

describe('rm', () => {
  const rm = (path: string, rest: { allowNotFound?: boolean; allowWildcard?: boolean } = {}): FileActionKind => ({
    kind: 'rm',
    path,
    allowNotFound: false,
    allowWildcard: false,
    ...rest,
  });
  test.each<[string, FileActionKind[], Record<string, Literal>, string[]]>([
    ['a file', [rm('/a/f')], { 'a/f': 'x' }, ['a/f whiteout']],
    ['a directory, all of it', [rm('/a')], { 'a/f': 'x', 'a/b/g': 'y' }, ['a whiteout']],
    ['a link, not what it names', [rm('/l')], { l: link('/a'), 'a/f': 'x' }, ['l whiteout']],
    ['below a link to a directory', [rm('/l/f')], { l: link('/a'), 'a/f': 'x' }, ['a/f whiteout']],
    [
      'what a wildcard matches',
      [rm('/a/*.c', { allowWildcard: true })],
      { 'a/x.c': '', 'a/x.h': '' },
      ['a/x.c whiteout'],
    ],
    ['nothing, when that is allowed', [rm('/none', { allowNotFound: true })], {}, []],
    ['what this op made leaves no trace', [mkDir('/new/d'), mkFile('/new/d/f', 'x'), rm('/new')], {}, []],
    [
      'and made again: opaque, so that nothing comes back (bk#2614)',
      [rm('/a'), mkDir('/a'), mkFile('/a/new', 'x')],
      { 'a/old': 'x' },
      ['a/ 0755 0:0 opaque', 'a/new file 0644 0:0 1'],
    ],
    ['a file made in place of a directory', [rm('/a'), mkFile('/a', 'x')], { 'a/old': 'x' }, ['a file 0644 0:0 1']],
    [
      'part of a directory made again',
      [rm('/a'), mkDir('/a'), mkFile('/a/x', 'x'), rm('/a/x')],
      { 'a/x': 'x' },
      ['a/ 0755 0:0 opaque'],
    ],
  ])('%s', async (_, actions, base, layer) => {
    expect(await one(actions, base)).toEqual(layer);
  });

  test('what is not there is an error', async () => {
    await expect(one([rm('/none')], {})).rejects.toMatchObject({ code: 'copy' });
    await expect(one([rm('/')], {})).rejects.toMatchObject({ code: 'copy' });
  });
});

describe('owners by name', () => {
  const base = {
    'etc/passwd': 'root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:\nweb:x:33:33::/:\n',
    'real/group': 'root:x:0:\nstaff:x:50:app\n',
    'etc/group': link('/real/group'),
  };
  const user = (name: string) => ({ kind: 'name', name, input: 0 }) as const;
  test.each([
    ['a user brings the group of passwd', { user: user('app') }, 'd/ 0755 1000:1001'],
    ['a group by name, through a link inside the root', { user: user('app'), group: user('staff') }, 'd/ 0755 1000:50'],
    ['a number is the group too', { user: { kind: 'id', id: 7 } as const }, 'd/ 0755 7:7'],
    ['-1 leaves it as it is', { user: { kind: 'id', id: 0xffff_ffff } as const }, 'd/ 0755 0:0'],
    ['a group alone leaves the user root', { group: { kind: 'id', id: 7 } as const }, 'd/ 0755 0:7'],
    ['an unknown name is 0', { user: user('nobody-here') }, 'd/ 0755 0:0'],
  ])('%s', async (name, owner, expected) => {
    events.length = 0;
    expect(await one([mkDir('/d', { owner })], base)).toEqual([expected]);
    expect(events.length).toBe(name.startsWith('an unknown') ? 1 : 0);
  });

  test('on scratch they cannot be looked up', async () => {
    const action = mkDir('/d', { owner: { user: { kind: 'name', name: 'app', input: -1 } } });
    await expect(run(chain([action], 0), [])).rejects.toMatchObject({ code: 'copy' });
  });
});

describe('a chain of actions', () => {
  test('grows one layer, even when nothing changes', async () => {
    const base = await snapshot({ 'a/f': 'x' });
    const [result] = await run(chain([mkDir('/a')], 1), [base]);
    expect(result?.layers.map(({ id }) => id)).toEqual([base.layers[0]?.id, 't1']);
    expect(await layerOf(result)).toEqual([]);
  });

  test('sees what came before in its destination', async () => {
    const source = await snapshot({ 'f/a': '1', g: '22' });
    const actions = [mkDir('/d', { mode: 0o700 }), copyAction('f', '/d'), copyAction('g', '/d')];
    const [result] = await run(chain(actions, 2), [await snapshot({}), source]);
    expect(await layerOf(result)).toEqual(['d/ 0700 0:0', 'd/a file 0644 0:0 1', 'd/g file 0644 0:0 2']);
  });

  test('copies from an earlier result (heredocs)', async () => {
    const actions: FileAction[] = [
      { input: -1, secondaryInput: -1, output: -1, action: mkFile('/EOF', 'text') },
      { input: 0, secondaryInput: 1, output: 0, action: copyAction('EOF', '/run.sh', { mode: 0o755 }) },
    ];
    const [result] = await run(actions, [await snapshot({})]);
    expect(await layerOf(result)).toEqual(['run.sh file 0755 0:0 4']);
    const [location] = (await result?.files.locate(['run.sh'])) ?? [];
    expect(location).toEqual({ kind: 'bytes', data: Buffer.from('text') });
  });

  test('a result that is used twice is a layer of its own', async () => {
    const actions: FileAction[] = [
      { input: -1, secondaryInput: -1, output: -1, action: mkDir('/shared') },
      { input: 0, secondaryInput: -1, output: 0, action: mkDir('/one') },
      { input: 0, secondaryInput: -1, output: 1, action: mkDir('/two') },
    ];
    const [one, two] = await run(actions, []);
    expect(one?.layers.length).toBe(2);
    expect(one?.layers[0]).toBe(two?.layers[0]);
    expect([await layerOf(one), await layerOf(two)]).toEqual([['one/ 0755 0:0'], ['two/ 0755 0:0']]);
  });

  test('in a circle is refused', async () => {
    const actions: FileAction[] = [{ input: 0, secondaryInput: -1, output: 0, action: mkDir('/d') }];
    await expect(run(actions, [])).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('a file layer', () => {
  test('knows all digests, and where the bytes are, in one question to each source', async () => {
    const source = memoryTree({ 'd/a': 'A', 'd/b': hard('d/a', 'A'), 'd/c': file('C', { mode: 0o755 }) });
    let located = 0;
    const files = {
      ...source,
      locate: async (paths: readonly string[]) => {
        located++;
        return source.locate(paths);
      },
    };
    const input: Snapshot = { layers: [], files, inPlace: false };
    const [result] = await run(chain([copyAction('d', '/o'), mkFile('/o/z', 'Z')], 2), [await snapshot({}), input]);
    const layer = result?.layers.at(-1);
    const paths = ['o/a', 'o/b', 'o/c', 'o/z'];
    const digests: Digest[] = [digestOf('A'), digestOf('A'), digestOf('C'), digestOf('Z')];
    expect(await layer?.digests(paths)).toEqual(digests);
    const locations = [...((await layer?.locate(paths)) ?? [])];
    expect(locations.map((location) => location.kind === 'bytes' && Buffer.from(location.data).toString())).toEqual([
      'A',
      'A',
      'C',
      'Z',
    ]);
    expect(located).toBe(1);
    expect([...((await layer?.tree()) ?? [])].filter(([, e]) => e.type === 'file' && e.digest === undefined)).toEqual(
      [],
    );
  });
});
