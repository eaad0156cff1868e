import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Digest, FileTree, Snapshot } from '../../contracts/index.ts';
import { vertex } from '../../llb/index.ts';
import type { CopyAction, FileAction, Mount, Op, Vertex } from '../../llb/index.ts';
import { ContentListWriter } from '../../store/index.ts';
import { copyAction, mkDir } from '../testing/actions.ts';
import { dir, file, hard, link, memoryTree } from '../testing/memory-tree.ts';
import type { Literal } from '../testing/memory-tree.ts';
import { contentKey } from './content-key.ts';
import { KeyWriter } from './key-writer.ts';
import { createSelections } from './selections.ts';

type Literals = Record<string, Literal>;

function node(op: Op, inputs: number): Vertex {
  const source = vertex({ kind: 'source', identifier: 'docker-image://docker.io/library/x:latest', attrs: {} }, []);
  return vertex(
    op,
    Array.from({ length: inputs }, (_, index) => ({ vertex: source, index })),
  );
}

const snapshot = (literals: Literals): Snapshot => ({ layers: [], files: memoryTree(literals), inPlace: false });

/** Key of input 1 of a file op on input 0. */
async function keyOf(copy: CopyAction, literals: Literals): Promise<Digest | undefined> {
  const actions: FileAction[] = [{ input: 0, secondaryInput: 1, output: 0, action: copy }];
  return contentKey(node({ kind: 'file', actions }, 2), 1, snapshot(literals), createSelections());
}

const base: Literals = { 'd/f': 'text', 'd/l': link('f'), 'd/e': dir({ mode: 0o700 }), other: 'other' };
const copyDir = copyAction('d', '/o/');

describe('of a copy', () => {
  test.each<[string, Literals]>([
    ['times', { ...base, 'd/f': file('text', { mtime: 3, mtimeNsec: 4 }), 'd/e': dir({ mode: 0o700, mtime: 9 }) }],
    ['what is not copied', { ...base, other: 'changed', another: 'x' }],
    ['the mode and owner of the directory whose contents are copied', { ...base, d: dir({ mode: 0o700, uid: 3 }) }],
    ['an order of making', Object.fromEntries(Object.entries(base).reverse())],
  ])('does not depend on %s', async (_, literals) => {
    expect(await keyOf(copyDir, literals)).toBe(await keyOf(copyDir, base));
  });

  test.each<[string, Literals]>([
    ['content', { ...base, 'd/f': 'TEXT' }],
    ['a name', { 'd/g': 'text', 'd/l': link('f'), 'd/e': dir({ mode: 0o700 }) }],
    ['a mode', { ...base, 'd/f': file('text', { mode: 0o755 }) }],
    ['an owner', { ...base, 'd/f': file('text', { uid: 1 }) }],
    ['a group', { ...base, 'd/f': file('text', { gid: 1 }) }],
    ['a link text', { ...base, 'd/l': link('g') }],
    ['an empty directory', { ...base, 'd/e2': dir() }],
    ['a directory that became a file', { ...base, 'd/e': file('', { mode: 0o700 }) }],
    ['extended attributes', { ...base, 'd/f': file('text', { xattrs: new Map([['user.a', Buffer.from('1')]]) }) }],
    ['a second name for a file', { ...base, 'd/f2': hard('d/f', 'text') }],
  ])('depends on %s', async (_, literals) => {
    expect(await keyOf(copyDir, literals)).not.toBe(await keyOf(copyDir, base));
  });

  test('a second name and a second file are told apart', async () => {
    const linked = await keyOf(copyDir, { ...base, 'd/f2': hard('d/f', 'text') });
    expect(linked).not.toBe(await keyOf(copyDir, { ...base, 'd/f2': 'text' }));
  });

  test('where a directory lies does not matter (cp -r a b; COPY b)', async () => {
    const moved: Literals = { 'x/y/f': 'text', 'x/y/l': link('f'), 'x/y/e': dir({ mode: 0o700 }) };
    expect(await keyOf(copyAction('x/y', '/o/'), moved)).toBe(await keyOf(copyDir, base));
  });

  test('the name of a file does: it may be its name in a directory', async () => {
    const literals = { a: 'text', b: 'text' };
    expect(await keyOf(copyAction('a', '/o/'), literals)).not.toBe(await keyOf(copyAction('b', '/o/'), literals));
  });

  test('the name of the link counts that leads to a file, not its path', async () => {
    const linked = { alias: link('deep/real'), 'deep/real': 'text' };
    expect(await keyOf(copyAction('alias', '/o/'), linked)).toBe(
      await keyOf(copyAction('alias', '/o/'), { alias: 'text' }),
    );
  });

  test('--chown makes owners not count, --chmod modes, but for links', async () => {
    const owned = { ...base, 'd/f': file('text', { uid: 5, gid: 6 }) };
    const chown = copyAction('d', '/o/', { owner: { user: { kind: 'id', id: 1 } } });
    expect(await keyOf(chown, owned)).toBe(await keyOf(chown, base));
    const moded = { ...base, 'd/f': file('text', { mode: 0o600 }) };
    const chmod = copyAction('d', '/o/', { mode: 0o755 });
    expect(await keyOf(chmod, moded)).toBe(await keyOf(chmod, base));
    const letters = copyAction('d', '/o/', { modeStr: 'u=rw,go=' });
    expect(await keyOf(letters, moded)).toBe(await keyOf(letters, base));
    const plus = copyAction('d', '/o/', { modeStr: 'u+x' });
    expect(await keyOf(plus, moded)).not.toBe(await keyOf(plus, base));
  });

  test('excluded files do not count', async () => {
    const exclude = copyAction('/', '/o/', { excludePatterns: ['other'] });
    expect(await keyOf(exclude, { ...base, other: 'x' })).toBe(await keyOf(exclude, base));
  });

  test('a missing source is an error before anything runs', async () => {
    await expect(keyOf(copyAction('nope', '/o/'), base)).rejects.toMatchObject({
      code: 'source-missing',
      message: '"/nope" is not in docker.io/library/x:latest',
    });
  });

  test('the root of an op has none', async () => {
    const actions: FileAction[] = [{ input: 0, secondaryInput: 1, output: 0, action: copyDir }];
    const key = await contentKey(node({ kind: 'file', actions }, 2), 0, snapshot(base), createSelections());
    expect(key).toBeUndefined();
  });

  test('names looked up elsewhere count by passwd and group', async () => {
    const owner = { user: { kind: 'name', name: 'app', input: 1 } } as const;
    const actions: FileAction[] = [{ input: 0, secondaryInput: -1, output: 0, action: mkDir('/d', { owner }) }];
    const key = async (passwd: string) =>
      contentKey(
        node({ kind: 'file', actions }, 2),
        1,
        snapshot({ ...base, 'etc/passwd': passwd }),
        createSelections(),
      );
    expect(await key('app:x:1:1')).not.toBe(await key('app:x:2:2'));
  });

  test('asks the source once, and remembers for the run', async () => {
    const selections = createSelections();
    const input = snapshot(base);
    const actions: FileAction[] = [{ input: 0, secondaryInput: 1, output: 0, action: copyDir }];
    const copy = node({ kind: 'file', actions }, 2);
    await contentKey(copy, 1, input, selections);
    const { asked } = input.files as ReturnType<typeof memoryTree>;
    const before = { ...asked };
    const selection = await selections.select(
      copy,
      0,
      { tree: input.files, snapshot: input, vertex: undefined },
      copyDir,
    );
    await selection.digests();
    expect(asked).toEqual(before);
    expect(asked).toMatchObject({ walk: 1, digests: 1 });
  });
});

describe('of a mount', () => {
  const mount = (rest: Partial<Mount>): Mount => ({
    input: 1,
    dest: '/mnt',
    output: -1,
    readonly: true,
    type: { kind: 'bind' },
    ...rest,
  });
  const keyOfMounts = async (mounts: readonly Mount[], literals: Literals): Promise<Digest | undefined> => {
    const root = mount({ input: 0, dest: '/', output: 0, readonly: false });
    const op: Op = {
      kind: 'exec',
      meta: {
        args: ['true'],
        env: [],
        cwd: '/',
        user: '',
        extraHosts: [],
        hostname: '',
        ulimits: [],
        cgroupParent: '',
        removeMountStubsRecursive: true,
        validExitCodes: [],
      },
      mounts: [root, ...mounts],
      network: 'sandbox',
      security: 'sandbox',
      secretEnv: [],
      cdiDevices: [],
    };
    return contentKey(node(op, 2), 1, snapshot(literals), createSelections());
  };

  test('is of what lies below its selector', async () => {
    const mounts = [mount({ selector: '/d' })];
    expect(await keyOfMounts(mounts, { ...base, other: 'x' })).toBe(await keyOfMounts(mounts, base));
    expect(await keyOfMounts(mounts, { ...base, 'd/f': 'x' })).not.toBe(await keyOfMounts(mounts, base));
    expect(await keyOfMounts([mount({})], { ...base, other: 'x' })).not.toBe(await keyOfMounts([mount({})], base));
  });

  test.each<[string, Partial<Mount>, boolean]>([
    ['read-only', { selector: '/d' }, true],
    ['written to and thrown away', { readonly: false, selector: '/d' }, true],
    ['an output below a selector', { readonly: false, output: 1, selector: '/d' }, false],
    ['an output of the whole', { readonly: false, output: 1 }, true],
    ['the root', { dest: '/' }, false],
    ['switched off', { contentCache: 'off' }, false],
    ['a cache seeded from it', { type: { kind: 'cache', id: 'x', sharing: 'shared' }, readonly: false }, true],
  ])('%s', async (_, rest, has) => {
    expect((await keyOfMounts([mount(rest)], base)) !== undefined).toBe(has);
  });

  test('one that has none spoils it for the input', async () => {
    expect(await keyOfMounts([mount({}), mount({ dest: '/x', contentCache: 'off' })], base)).toBeUndefined();
  });

  test('what is mounted where is told apart', async () => {
    const literals = { 'a/f': '1', 'b/f': '2' };
    const one = [mount({ dest: '/x', selector: '/a' }), mount({ dest: '/y', selector: '/b' })];
    const other = [mount({ dest: '/x', selector: '/b' }), mount({ dest: '/y', selector: '/a' })];
    expect(await keyOfMounts(one, literals)).not.toBe(await keyOfMounts(other, literals));
  });
});

test('fields are told apart whatever their lengths', () => {
  const digest = (...fields: readonly string[]): Digest => {
    const writer = new KeyWriter('v');
    for (const field of fields) writer.text(field);
    return writer.digest();
  };
  const long = 'x'.repeat(100_000);
  const digests = [
    digest('ab', 'c'),
    digest('a', 'bc'),
    digest('abc'),
    digest('abc', ''),
    digest(long, 'y'),
    digest(`${long}y`),
    // Bytes that are not UTF-8 in names.
    digest('\udc80'),
    digest('\udc81'),
    digest('\ufffd'),
  ];
  expect(new Set(digests).size).toBe(digests.length);
});

test('the key of a small tree stays what it is: raise the version when this must change', async () => {
  expect(await keyOf(copyDir, base)).toMatchInlineSnapshot(
    `"sha256:38e8577aa16788990b6e580f05cd2ae4abe3ed5d20e6ae7169df2d2b18e8fcc3"`,
  );
});

test('a key is made of what docs/cache-keys.md says, field by field', async () => {
  const hash = createHash('sha256');
  const field = (value: string | number): void => {
    const bytes = Buffer.from(value.toString());
    const head = Buffer.alloc(typeof value === 'number' ? 9 : 4);
    if (typeof value === 'number') head.writeUInt8(8);
    if (typeof value === 'number') head.writeDoubleLE(value, 1);
    else head.writeUInt32LE(bytes.length);
    hash.update(head);
    if (typeof value === 'string') hash.update(bytes);
  };
  const sha = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const row = (name: string, type: string, mode: number, uid: number): void =>
    [name, type, mode, uid, 0, 0].forEach(field);
  ['slipway-content-1', 'copy', 0, 1, 'contents', 7].forEach(field);
  row('a', 'file', 0o644, 0);
  field(sha('1'));
  row('b', 'file', 0o644, 0);
  field(sha('2'));
  row('c', 'file', 0o755, 0);
  field(sha('3'));
  row('d', 'directory', 0o755, 0);
  row('d/e', 'directory', 0o755, 0);
  row('d/f', 'file', 0o644, 7);
  field(sha('4'));
  row('d/g', 'file', 0o644, 0);
  field(sha('5'));
  const tree = {
    'd/a': file('1'),
    'd/b': file('2'),
    'd/c': file('3', { mode: 0o755 }),
    'd/d/e': dir(),
    'd/d/f': file('4', { uid: 7 }),
    'd/d/g': file('5'),
  };
  expect(await keyOf(copyAction('d', '/o/'), tree)).toBe(`sha256:${hash.digest('hex')}`);
});

test('a key and its list are one walk; what a survey and learning say is not asked of each file', async () => {
  const tree = memoryTree({ 'd/a': file('1'), 'd/b': file('2'), 'd/c/e': file('3') });
  const counts = { walked: 0, surveyed: 0, learned: [] as string[] };
  const files: FileTree = {
    ...tree,
    async walk(path) {
      const rows = [...(await tree.walk(path))];
      return {
        *[Symbol.iterator]() {
          counts.walked++;
          for (const [at, entry] of rows) {
            const learned = entry.type === 'file' && counts.learned.includes(at);
            yield [at, learned ? { ...entry, digest: `sha256:${'0'.repeat(64)}` as const } : entry] as const;
          }
        },
      };
    },
    async survey() {
      counts.surveyed++;
      return { count: 4, linked: new Set<string>(), unknown: ['d/a', 'd/b', 'd/c/e'] };
    },
    async learn(paths) {
      counts.learned.push(...paths);
    },
  };
  const actions: FileAction[] = [{ input: 0, secondaryInput: 1, output: 0, action: copyAction('d', '/o/') }];
  const input: Snapshot = { layers: [], files, inPlace: false };
  const list = new ContentListWriter();
  const op = node({ kind: 'file', actions }, 2);
  expect(await contentKey(op, 1, input, createSelections(), list)).toBeDefined();
  expect(counts).toEqual({ walked: 1, surveyed: 1, learned: ['d/a', 'd/b', 'd/c/e'] });
  expect(tree.asked.digests).toBe(0);
  expect(list.encode()).not.toEqual(new ContentListWriter().encode());
});
