import { describe, expect, test } from 'vitest';
import type { CopyAction } from '../../llb/index.ts';
import { NOW, StagedTree, copyAction, copyOnto } from '../testing/actions.ts';
import { describeTree, dir, file, hard, link, memoryTree } from '../testing/memory-tree.ts';
import type { Literal } from '../testing/memory-tree.ts';

type Literals = Record<string, Literal>;

interface Case {
  readonly name: string;
  readonly source: Literals;
  readonly base?: Literals;
  readonly copy: CopyAction | readonly CopyAction[];
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly isExact?: boolean;
  /** The layer, all of it. */
  readonly layer: readonly string[];
}

async function run({ source, base = {}, copy, owner, isExact }: Omit<Case, 'layer' | 'name'>): Promise<StagedTree> {
  const staged = new StagedTree(memoryTree(base), isExact);
  const from = memoryTree(source);
  for (const action of 'kind' in copy ? [copy] : copy) await copyOnto(staged, from, action, owner);
  return staged;
}

const project: Literals = {
  'app.go': 'package',
  'go.mod': 'module',
  'pkg/a.go': 'a',
  'pkg/sub/b.go': file('bb', { mode: 0o600, uid: 7, gid: 8 }),
  'pkg/private': dir({ mode: 0o700, uid: 7, gid: 8 }),
};

const cases: readonly Case[] = [
  {
    name: 'a file to a new name',
    source: project,
    copy: copyAction('app.go', '/main.go'),
    layer: ['main.go file 0644 0:0 7'],
  },
  {
    name: 'a file into a directory that a trailing slash names',
    source: project,
    copy: copyAction('app.go', '/src/'),
    layer: ['src/ 0755 0:0', 'src/app.go file 0644 0:0 7'],
  },
  {
    name: 'a file into a directory that is there, without a slash',
    source: project,
    base: { src: dir() },
    copy: copyAction('app.go', '/src'),
    layer: ['src/app.go file 0644 0:0 7'],
  },
  {
    name: 'a file to a deep name: parents are 0755 root',
    source: project,
    copy: copyAction('pkg/sub/b.go', '/a/b/c'),
    layer: ['a/ 0755 0:0', 'a/b/ 0755 0:0', 'a/b/c file 0600 7:8 2'],
  },
  {
    name: 'a directory gives its contents, its own mode and owner are not taken, nested ones are',
    source: { 'in/d/f': 'x', in: dir({ mode: 0o700, uid: 5, gid: 5 }), 'in/d': dir({ mode: 0o750, uid: 5, gid: 6 }) },
    copy: copyAction('in', '/out'),
    layer: ['out/ 0755 0:0', 'out/d/ 0750 5:6', 'out/d/f file 0644 0:0 1'],
  },
  {
    name: 'a trailing slash on a source means nothing',
    source: project,
    copy: copyAction('pkg/', '/out/'),
    layer: [
      'out/ 0755 0:0',
      'out/a.go file 0644 0:0 1',
      'out/private/ 0700 7:8',
      'out/sub/ 0755 0:0',
      'out/sub/b.go file 0600 7:8 2',
    ],
  },
  {
    name: '.. in a source is clamped at the root',
    source: project,
    copy: copyAction('../../app.go', '/x'),
    layer: ['x file 0644 0:0 7'],
  },
  {
    name: 'an existing top directory keeps its metadata, an existing nested one takes the source',
    source: { 'in/d/f': 'x', in: dir({ mode: 0o700 }), 'in/d': dir({ mode: 0o750, uid: 5, gid: 6 }) },
    base: { out: dir({ mode: 0o711, uid: 1, gid: 1 }), 'out/d': dir({ mode: 0o777, uid: 2, gid: 2 }) },
    copy: copyAction('in', '/out/'),
    layer: ['out/d/ 0750 5:6', 'out/d/f file 0644 0:0 1'],
  },
  {
    name: 'wildcards match one component each',
    source: { 'a/x.txt': '1', 'b/x.txt': '22', 'a/deep/x.txt': '333' },
    copy: copyAction('*/x.txt', '/out/'),
    layer: ['out/ 0755 0:0', 'out/x.txt file 0644 0:0 2'],
  },
  {
    name: 'a directory behind a wildcard is flattened',
    source: { 'dir1/a': '1', 'dir2/b': '2', other: '3' },
    copy: copyAction('dir*', '/out/'),
    layer: ['out/ 0755 0:0', 'out/a file 0644 0:0 1', 'out/b file 0644 0:0 1'],
  },
  { name: 'a wildcard may match nothing', source: project, copy: copyAction('*.nothing', '/out/'), layer: [] },
  {
    name: 'a wildcard can be taken for itself in a class, or escaped beside another wildcard',
    source: { 'a[0].txt': 'x', 'a0.txt': 'y' },
    copy: [copyAction('a[[]0].txt', '/x/'), copyAction('a\\[*', '/y/')],
    layer: ['x/ 0755 0:0', 'x/a[0].txt file 0644 0:0 1', 'y/ 0755 0:0', 'y/a[0].txt file 0644 0:0 1'],
  },
  {
    name: 'a class in a wildcard',
    source: { f1: 'x', f2: 'y', f3: 'z' },
    copy: copyAction('f[12]', '/d/'),
    layer: ['d/ 0755 0:0', 'd/f1 file 0644 0:0 1', 'd/f2 file 0644 0:0 1'],
  },
  {
    name: 'several sources to a new name without slash: the last wins',
    source: { a: '1', b: '22' },
    copy: [copyAction('a', '/out'), copyAction('b', '/out')],
    layer: ['out file 0644 0:0 2'],
  },
  {
    name: 'a link named as source is followed; its name is kept',
    source: { real: 'text', alias: link('real'), 'd/f': 'x', dl: link('d') },
    copy: [copyAction('alias', '/out/'), copyAction('dl', '/out/')],
    layer: ['out/ 0755 0:0', 'out/alias file 0644 0:0 4', 'out/f file 0644 0:0 1'],
  },
  {
    name: 'links inside a tree stay links, wherever they lead',
    source: { 'd/l': link('/etc/passwd'), 'd/m': link('nowhere') },
    copy: copyAction('d', '/out'),
    layer: ['out/ 0755 0:0', 'out/l -> /etc/passwd 0:0', 'out/m -> nowhere 0:0'],
  },
  {
    name: 'a link on the way of the destination is followed inside the root',
    source: { f: 'x' },
    base: { 'usr/lib': dir(), lib: link('/usr/lib'), up: link('../../..') },
    copy: [copyAction('f', '/lib/'), copyAction('f', '/up/usr/g')],
    layer: ['usr/g file 0644 0:0 1', 'usr/lib/f file 0644 0:0 1'],
  },
  {
    name: 'a link at the end of the destination is followed to the file it names',
    source: { f: 'new' },
    base: { 'data/real': 'old', alias: link('data/real') },
    copy: copyAction('f', '/alias'),
    layer: ['data/real file 0644 0:0 3'],
  },
  {
    name: 'a nested link where a file comes is replaced',
    source: { 'd/f': 'x' },
    base: { 'out/f': link('/etc/passwd'), 'etc/passwd': 'root' },
    copy: copyAction('d', '/out/'),
    layer: ['out/f file 0644 0:0 1'],
  },
  {
    name: '--chown holds for all, made parents too',
    source: project,
    copy: copyAction('pkg/sub', '/a/b'),
    owner: { uid: 33, gid: 34 },
    layer: ['a/ 0755 33:34', 'a/b/ 0755 33:34', 'a/b/b.go file 0600 33:34 2'],
  },
  {
    name: '--chmod in octal holds for files, directories and made parents, not for links',
    source: { 'd/f': file('x', { mode: 0o4644 }), 'd/e': dir({ mode: 0o700 }), 'd/l': link('f') },
    copy: copyAction('d', '/a/b', { mode: 0o1777 }),
    layer: ['a/ 0777 0:0', 'a/b/ 0777 0:0', 'a/b/e/ 1777 0:0', 'a/b/f file 1777 0:0 1', 'a/b/l -> f 0:0'],
  },
  {
    name: '--chmod by letters starts from each mode; made parents are 0755',
    source: { 'd/f': file('x', { mode: 0o640 }), 'd/e': dir({ mode: 0o700 }) },
    copy: copyAction('d', '/a/', { modeStr: 'g+w,+X' }),
    layer: ['a/ 0755 0:0', 'a/e/ 0731 0:0', 'a/f file 0660 0:0 1'],
  },
  {
    name: 'setuid, setgid and sticky bits survive',
    source: { 'd/su': file('x', { mode: 0o4755 }), 'd/t': dir({ mode: 0o1777 }), 'd/g': dir({ mode: 0o2755 }) },
    copy: copyAction('d', '/o/'),
    layer: ['o/ 0755 0:0', 'o/g/ 2755 0:0', 'o/su file 4755 0:0 1', 'o/t/ 1777 0:0'],
  },
  {
    name: 'what is made in a set-group-id directory has its group, as in the kernel',
    source: { f: 'x' },
    base: { g: dir({ mode: 0o2775, gid: 50 }) },
    copy: copyAction('f', '/g/new/'),
    layer: ['g/new/ 0755 0:50', 'g/new/f file 0644 0:0 1'],
  },
  {
    name: 'hard links within a source stay hard links',
    source: { 'd/a': 'text', 'd/b': hard('d/a', 'text'), 'd/z/c': hard('d/a', 'text') },
    copy: copyAction('d', '/o/'),
    layer: ['o/ 0755 0:0', 'o/a file 0644 0:0 4', 'o/b = o/a', 'o/z/ 0755 0:0', 'o/z/c = o/a'],
  },
  {
    name: 'of hard links whose first name is not copied, the first that is becomes the file',
    source: { first: 'text', 'd/b': hard('first', 'text'), 'd/c': hard('first', 'text') },
    copy: copyAction('d', '/o/'),
    layer: ['o/ 0755 0:0', 'o/b file 0644 0:0 4', 'o/c = o/b'],
  },
  {
    name: 'between the matches of a wildcard links are not kept',
    source: { a1: 'text', a2: hard('a1', 'text') },
    copy: copyAction('a*', '/o/'),
    layer: ['o/ 0755 0:0', 'o/a1 file 0644 0:0 4', 'o/a2 file 0644 0:0 4'],
  },
  {
    name: 'devices and pipes are copied, sockets become empty files',
    source: {
      'd/null': { type: 'char-device', mode: 0o666 },
      'd/p': { type: 'fifo' },
      'd/s': { type: 'socket', mode: 0o755 },
    },
    copy: copyAction('d', '/o/'),
    layer: ['o/ 0755 0:0', 'o/null char-device 0666 0:0', 'o/p fifo 0600 0:0', 'o/s file 0755 0:0 0'],
  },
  {
    name: '--exclude leaves out, a negation takes in again with the directories above it',
    source: { 'a/keep': '1', 'a/drop': '2', 'b/x': '3', c: '4' },
    copy: copyAction('/', '/o/', { excludePatterns: ['a', 'b', '!a/keep'] }),
    layer: ['o/ 0755 0:0', 'o/a/ 0755 0:0', 'o/a/keep file 0644 0:0 1', 'o/c file 0644 0:0 1'],
  },
  {
    name: '--exclude with a path from the root leaves out nothing',
    source: { a: '1' },
    copy: copyAction('/', '/o/', { excludePatterns: ['/a', '!/b'] }),
    layer: ['o/ 0755 0:0', 'o/a file 0644 0:0 1'],
  },
  {
    name: 'include patterns (--parents) make only the directories that lead to something',
    source: { 'a/b/f': 'x', 'a/b/g': 'y', 'a/e/h': 'z', 'a/b': dir({ mode: 0o750 }) },
    copy: copyAction('/', '/o/', { includePatterns: ['a/b/f'] }),
    layer: ['o/ 0755 0:0', 'o/a/ 0755 0:0', 'o/a/b/ 0750 0:0', 'o/a/b/f file 0644 0:0 1'],
  },
  {
    name: 'existing directories on the way of include patterns take the mode only',
    source: { 'a/f': 'x', a: dir({ mode: 0o750, uid: 9, gid: 9 }) },
    base: { 'o/a': dir({ mode: 0o700, uid: 4, gid: 4 }) },
    copy: copyAction('/', '/o/', { includePatterns: ['a/f'] }),
    layer: ['o/a/ 0750 4:4', 'o/a/f file 0644 0:0 1'],
  },
  {
    name: 'a directory named without its contents (heredocs, git) keeps its own metadata when new',
    source: { d: dir({ mode: 0o711, uid: 3, gid: 4 }), 'd/f': 'x' },
    copy: copyAction('d', '/o', { dirCopyContents: false }),
    layer: ['o/ 0711 3:4', 'o/f file 0644 0:0 1'],
  },
  {
    name: 'and goes into the destination when that is there',
    source: { 'd/f': 'x' },
    base: { o: dir() },
    copy: copyAction('d', '/o', { dirCopyContents: false }),
    layer: ['o/d/ 0755 0:0', 'o/d/f file 0644 0:0 1'],
  },
  {
    name: 'alwaysReplaceExistingDestPaths: a directory over a link, a file over a directory',
    source: { 'd/x/f': 'x', 'd/y': 'file' },
    base: { 'o/x': link('/elsewhere'), 'o/y/old': 'old', elsewhere: dir() },
    copy: copyAction('d', '/o/', { alwaysReplaceExistingDestPaths: true }),
    layer: ['o/x/ 0755 0:0 opaque', 'o/x/f file 0644 0:0 1', 'o/y file 0644 0:0 4'],
  },
  {
    name: 'extended attributes come along; those of an existing directory stay',
    source: { 'd/e': dir({ xattrs: new Map([['user.b', Buffer.from('2')]]) }) },
    base: { 'o/e': dir({ xattrs: new Map([['user.a', Buffer.from('1')]]) }) },
    copy: copyAction('d', '/o/'),
    layer: ['o/e/ 0755 0:0'],
  },
  {
    name: 'what is the same already is not in the layer',
    source: { 'd/same': 'text', 'd/other': 'TEXT', 'd/newer': file('text', { mtime: 5 }) },
    base: { 'o/same': 'text', 'o/other': 'text', 'o/newer': 'text' },
    copy: copyAction('d', '/o/'),
    layer: ['o/other file 0644 0:0 4'],
  },
  {
    name: 'what is the same but for its time is in the layer where layers are exact',
    source: { 'd/same': 'text', 'd/newer': file('text', { mtime: 5 }), 'd/link': link('x', { mtime: 5 }) },
    base: { 'o/same': 'text', 'o/newer': 'text', 'o/link': link('x') },
    copy: copyAction('d', '/o/'),
    isExact: true,
    layer: ['o/link -> x 0:0', 'o/newer file 0644 0:0 4'],
  },
];

test.each(cases)('$name', async ({ layer, ...rest }) => {
  const staged = await run(rest);
  expect(describeTree((await staged.finish()).tree)).toEqual(layer);
});

describe('errors', () => {
  const refused: readonly (Omit<Case, 'layer'> & { code: string; message: RegExp })[] = [
    {
      name: 'a literal source that is not there',
      source: project,
      copy: copyAction('app.py', '/x'),
      code: 'source-missing',
      message: /"\/app\.py" is not in/,
    },
    {
      name: 'a wildcard below a directory that is not there',
      source: project,
      copy: copyAction('nowhere/*.go', '/x'),
      code: 'source-missing',
      message: /nowhere/,
    },
    {
      name: 'a link that leads nowhere',
      source: { l: link('gone') },
      copy: copyAction('l', '/x'),
      code: 'source-missing',
      message: /"\/l"/,
    },
    {
      name: 'a required path (--parents without wildcards)',
      source: project,
      copy: copyAction('/', '/x/', { includePatterns: ['pkg/c.go'], requiredPaths: ['/pkg/c.go'] }),
      code: 'source-missing',
      message: /pkg\/c\.go/,
    },
    {
      name: 'a required path that is there, but that no pattern takes (--parents ./)',
      source: project,
      copy: copyAction('/', '/x/', { includePatterns: [''], requiredPaths: ['/'] }),
      code: 'source-missing',
      message: /"\/" is not/,
    },
    {
      name: 'a file over a directory',
      source: { 'd/f': 'x' },
      base: { 'o/f/old': '' },
      copy: copyAction('d', '/o/'),
      code: 'copy',
      message: /a file cannot replace the directory \/o\/f/,
    },
    {
      name: 'a directory over a file',
      source: { 'd/f/x': 'x' },
      base: { 'o/f': 'old' },
      copy: copyAction('d', '/o/'),
      code: 'copy',
      message: /a directory cannot replace the file \/o\/f/,
    },
    {
      name: 'a directory over a nested link to a directory',
      source: { 'd/f/x': 'x' },
      base: { 'o/f': link('/e'), e: dir() },
      copy: copyAction('d', '/o/'),
      code: 'copy',
      message: /the symbolic link \/o\/f/,
    },
    {
      name: 'a directory to a file',
      source: { 'd/f': 'x' },
      base: { o: 'file' },
      copy: copyAction('d', '/o'),
      code: 'copy',
      message: /a directory cannot replace the file \/o/,
    },
    {
      name: 'a destination below a file',
      source: { f: 'x' },
      base: { o: 'file' },
      copy: copyAction('f', '/o/'),
      code: 'copy',
      message: /\/o is not a directory/,
    },
  ];
  test.each(refused)('$name', async ({ code, message, ...rest }) => {
    await expect(run(rest)).rejects.toMatchObject({ code });
    await expect(run(rest)).rejects.toThrow(message);
  });

  test('a near name is suggested', async () => {
    const error = run({ source: project, copy: copyAction('App.go', '/x') });
    await expect(error).rejects.toMatchObject({ hint: 'There is "/app.go".' });
  });
});

describe('times', () => {
  const timesOf = async (rest: Omit<Case, 'layer' | 'name'>): Promise<Record<string, number>> => {
    const { tree } = await (await run(rest)).finish();
    return Object.fromEntries([...tree].map(([path, entry]) => [path, entry.type === 'whiteout' ? -1 : entry.mtime]));
  };
  const source: Literals = {
    'd/f': file('x', { mtime: 11, mtimeNsec: 7 }),
    d: dir({ mtime: 12 }),
    'd/e': dir({ mtime: 13 }),
  };

  test('are the source, but for made parents; the top directory takes the time of the source', async () => {
    expect(await timesOf({ source, copy: copyAction('d', '/a/b') })).toEqual({
      a: NOW.mtime,
      'a/b': 12,
      'a/b/e': 13,
      'a/b/f': 11,
    });
  });

  test('are the given one for all, to the nanosecond', async () => {
    const staged = await run({ source, copy: copyAction('d', '/a/b', { timestamp: 5_000_000_006n }) });
    for (const entry of (await staged.finish()).tree.values()) expect(entry).toMatchObject({ mtime: 5, mtimeNsec: 6 });
  });
});

test('a source that is found in the merged view of what this op made before', async () => {
  const staged = new StagedTree(memoryTree({ 'base/x': 'x' }));
  await copyOnto(staged, memoryTree({ f: 'first' }), copyAction('f', '/base/f'));
  const second = new StagedTree(memoryTree({}));
  await copyOnto(second, staged, copyAction('base', '/o/'));
  const { tree, origins } = await second.finish();
  expect(describeTree(tree)).toEqual(['o/ 0755 0:0', 'o/f file 0644 0:0 5', 'o/x file 0644 0:0 1']);
  expect([origins.get('o/f'), origins.get('o/x')]).toMatchObject([{ path: 'f' }, { path: 'base/x' }]);
});

test('a hundred thousand files into a new directory ask the destination a handful of times', async () => {
  const literals: Literals = {};
  for (let i = 0; i < 100_000; i++) literals[`d/${i % 300}/f${i}`] = '';
  const source = memoryTree(literals);
  const base = memoryTree({ 'usr/bin/x': '' });
  const staged = new StagedTree(base);
  await copyOnto(staged, source, copyAction('d', '/srv/data/'));
  const { tree } = await staged.finish();
  expect(tree.size).toBe(100_000 + 300 + 2);
  expect(base.asked.lookup + base.asked.list).toBeLessThan(10);
  expect(source.asked).toMatchObject({ walk: 1, digests: 1 });
});
