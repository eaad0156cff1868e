import { describe, expect, test, vi } from 'vitest';
import fc from 'fast-check';
import type { ContentLocation, Digest, Layer, NodeEntry, Tree, TreeEntry, TreePath } from '../contracts/index.ts';
import { compareTreePaths, TreeTable } from '../store/index.ts';
import { digestOf } from './chain-id.ts';
import { GROUP_SIZE } from './layer-group.ts';
import { emptySnapshot, mergeLayers, snapshotOf } from './view.ts';

const meta = { mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0 };

/** An entry from a short word: `d` directory, `o` opaque directory, `w` whiteout, `-> x` link, `= x` hard link, else a file. */
function entryOf(word: string): TreeEntry {
  if (word.startsWith('d')) return { type: 'directory', ...meta, uid: word.length - 1 };
  if (word === 'o') return { type: 'directory', ...meta, opaque: true };
  if (word === 'w') return { type: 'whiteout' };
  if (word.startsWith('-> ')) return { type: 'symlink', ...meta, target: word.slice(3) };
  if (word.startsWith('= ')) return { type: 'file', ...meta, size: 0, hardlink: word.slice(2) };
  return { type: 'file', ...meta, size: word.length, digest: digestOf(word) };
}

interface TestLayer extends Layer {
  reads: number;
}

function layer(spec: Record<string, string>, id = 'l'): TestLayer {
  const tree: Tree = new Map(
    Object.entries(spec)
      .sort(([a], [b]) => compareTreePaths(a, b))
      .map(([path, word]) => [path, entryOf(word)]),
  );
  const file = (path: TreePath): Digest => {
    const entry = tree.get(path);
    if (entry?.type !== 'file') throw new Error(`not a file here: ${path}`);
    return digestOf(`${id}:${entry.hardlink ?? path}`);
  };
  return {
    id,
    reads: 0,
    async tree() {
      this.reads++;
      return tree;
    },
    digests: async (paths) => paths.map(file),
    locate: async (paths) => Array.from(paths, (path): ContentLocation => ({ kind: 'file', path: file(path) })),
    blob: async () => undefined,
  };
}

function brief(entry: NodeEntry | undefined): string | undefined {
  if (entry === undefined) return undefined;
  if (entry.type === 'file')
    return entry.hardlink === undefined ? `${entry.size}` : `${entry.size} = ${entry.hardlink}`;
  if (entry.type === 'symlink') return `-> ${entry.target}`;
  return entry.type === 'directory' ? `d${entry.uid}` : entry.type;
}

const view = async (...specs: readonly Record<string, string>[]): Promise<Record<string, string | undefined>> => {
  const files = mergeLayers(specs.map((spec, i) => layer(spec, `${i}`)));
  const found: Record<string, string | undefined> = {};
  for (const [path, entry] of await files.walk('')) {
    found[path] = brief(entry);
    expect(brief(await files.lookup(path)), path).toBe(found[path]);
  }
  for (const path of Object.keys(found)) {
    const below = [...(await files.walk(path))].map(([at, entry]) => [at, brief(entry)]);
    expect(below, path).toEqual(Object.entries(found).filter(([at]) => at.startsWith(`${path}/`)));
  }
  return found;
};

describe('layers as one file system', () => {
  test.each<[string, readonly Record<string, string>[], Record<string, string>]>([
    ['nothing', [], {}],
    ['parents that no layer has an entry for', [{ 'a/b': 'x' }], { a: 'd0', 'a/b': '1' }],
    ['a newer file', [{ a: 'x' }, { a: 'yy' }], { a: '2' }],
    ['whiteout of a file', [{ a: 'x', b: 'x' }, { a: 'w' }], { b: '1' }],
    ['whiteout of a directory', [{ a: 'd', 'a/b': 'x' }, { a: 'w' }], {}],
    ['whiteout of what is not there', [{ b: 'x' }, { a: 'w', 'c/d': 'w' }], { b: '1', c: 'd0' }],
    ['a directory over a file', [{ a: 'x' }, { a: 'd', 'a/b': 'x' }], { a: 'd0', 'a/b': '1' }],
    ['a directory without entry over a link', [{ a: '-> b' }, { 'a/b': 'x' }], { a: 'd0', 'a/b': '1' }],
    ['a file over a directory', [{ a: 'd', 'a/b': 'x' }, { a: 'x' }], { a: '1' }],
    [
      'children do not come back',
      [{ a: 'd', 'a/b': 'x' }, { a: 'x' }, { a: 'd', 'a/c': 'x' }],
      { a: 'd0', 'a/c': '1' },
    ],
    [
      'opaque',
      [
        { a: 'd', 'a/b': 'x' },
        { a: 'o', 'a/c': 'x' },
      ],
      { a: 'd0', 'a/c': '1' },
    ],
    ['opaque hides deep', [{ 'a/b/c': 'x' }, { a: 'o' }, { 'a/b/d': 'x' }], { a: 'd0', 'a/b': 'd0', 'a/b/d': '1' }],
    ['an opaque root', [{ a: 'x' }, { '': 'o', b: 'x' }], { b: '1' }],
    ['metadata of a directory from below', [{ a: 'ddd' }, { 'a/b': 'x' }], { a: 'd2', 'a/b': '1' }],
    ['newer metadata', [{ a: 'ddd', 'a/b': 'x' }, { a: 'dd' }], { a: 'd1', 'a/b': '1' }],
    ['order: a, a/b, a-b', [{ 'a-b': 'x' }, { 'a/b': 'x' }], { a: 'd0', 'a/b': '1', 'a-b': '1' }],
    ['hard links', [{ a: 'x', b: '= a', c: '= a' }], { a: '1', b: '0 = a', c: '0 = a' }],
    ['the first name gone', [{ a: 'x', b: '= a', c: '= a' }, { a: 'w' }], { b: '0', c: '0 = b' }],
    ['the first name another file now', [{ a: 'x', b: '= a' }, { a: 'yy' }], { a: '2', b: '0' }],
    ['a hard link into a lower layer', [{ a: 'xyz' }, { b: '= a' }], { a: '3', b: '3' }],
    ['... two layers down', [{ a: 'xyz' }, { b: '= a' }, { c: '= b' }], { a: '3', b: '3', c: '3' }],
    ['... to nothing', [{ z: 'x' }, { b: '= a' }], { z: '1' }],
  ])('%s', async (_, specs, expected) => {
    const found = await view(...specs);
    expect(found).toEqual(expected);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
  });

  test('list and lookup', async () => {
    const files = mergeLayers([
      layer({ 'a/b': 'x', f: 'x' }),
      layer({ 'a/c': 'x', 'a/b': 'w', 'a/ä': 'x', 'a/\udc80': 'x' }),
    ]);
    expect(await files.list('a')).toEqual(['c', '\udc80', 'ä']);
    expect(await files.list('')).toEqual(['a', 'f']);
    expect(await files.list('f')).toBeUndefined();
    expect(await files.list('a/b')).toBeUndefined();
    expect(await files.lookup('')).toMatchObject({ type: 'directory', mode: 0o755 });
    expect(await files.lookup('f/x')).toBeUndefined();
    expect([...(await files.walk('a/b'))]).toEqual([]);
    expect([...(await files.walk('a'))].map(([path]) => path)).toEqual(['a/c', 'a/\udc80', 'a/ä']);
    expect(await emptySnapshot.files.list('')).toEqual([]);
  });

  test('bytes come from the layer that shows them', async () => {
    const files = mergeLayers([layer({ a: 'x', b: 'x' }, '0'), layer({ b: 'y', l: '= a' }, '1')]);
    expect(await files.digests(['b', 'a', 'l'])).toEqual(['1:b', '0:a', '0:a'].map(digestOf));
    expect(await files.locate(['a'])).toEqual([{ kind: 'file', path: digestOf('0:a') }]);
    await expect(files.digests(['a', ''])).rejects.toMatchObject({ code: 'source-missing' });
    await expect(files.digests(['nope'])).rejects.toMatchObject({ code: 'source-missing' });
  });

  test('who asks for paths of a large layer goes through none of it', async () => {
    const through = vi.spyOn(TreeTable.prototype, 'entries');
    const base = TreeTable.of(new Map([['usr/bin/go', entryOf('go')]]));
    const files = mergeLayers([{ ...layer({}), tree: async () => base }, layer({ 'src/a': '1' })]);
    expect(brief(await files.lookup('usr/bin/go'))).toBe('2');
    expect(await files.lookup('usr/bin/cc')).toBeUndefined();
    expect(brief(await files.lookup('usr'))).toBe('d0');
    expect(through).not.toHaveBeenCalled();
    expect(await files.list('usr')).toEqual(['bin']);
    expect(through).toHaveBeenCalled();
    through.mockRestore();
  });

  test('a path that the newest layer settles reads no other', async () => {
    const layers = [
      layer({ 'usr/bin/x': 'x' }),
      layer({ 'usr/bin/y': 'x' }),
      layer({ usr: 'd', 'usr/bin': 'd', 'usr/bin/z': 'x', opt: 'o' }),
    ];
    const reads = (): readonly number[] => layers.map((l) => l.reads);
    const { files } = snapshotOf(layers);
    await files.lookup('usr');
    await files.lookup('usr/bin');
    await files.lookup('usr/bin/z');
    await files.list('opt');
    await files.lookup('opt/nothing');
    expect(reads()).toEqual([0, 0, 1]);
    await files.lookup('usr/bin/y');
    expect(reads()).toEqual([0, 1, 1]);
    await files.lookup('usr/bin/x');
    await files.lookup('usr/bin/x');
    expect(reads()).toEqual([1, 1, 1]);
    // Nor does the view of the stage that stands on these.
    const above = snapshotOf([...layers, layer({ a: 'x' })]);
    expect(brief(await above.files.lookup('usr/bin/x'))).toBe('1');
    expect(reads()).toEqual([1, 1, 1]);
  });

  test('a tree that could not be read may be asked for again', async () => {
    let fail = true;
    const flaky: Layer = {
      ...layer({ a: 'x' }),
      tree: async () => (fail ? Promise.reject(new Error('gone')) : new Map([['a', entryOf('x')]])),
    };
    const files = mergeLayers([flaky]);
    await expect(files.lookup('a')).rejects.toThrow('gone');
    fail = false;
    expect(await files.lookup('a')).toMatchObject({ type: 'file' });
  });
});

/** What extracting the layers one over the other leaves. */
function applied(specs: readonly Record<string, string>[]): Record<string, string> {
  const files = new Map<string, string>();
  const remove = (path: string): void => {
    for (const key of [...files.keys()]) if (key === path || key.startsWith(`${path}/`)) files.delete(key);
  };
  for (const spec of specs) {
    const entries = Object.entries(spec).sort(([a], [b]) => compareTreePaths(a, b));
    for (const [path, word] of entries) {
      if (word === 'o') for (const key of [...files.keys()]) if (key.startsWith(`${path}/`)) files.delete(key);
      if (!word.startsWith('d') && word !== 'o') remove(path);
    }
    for (const [path, word] of entries) {
      const parts = path.split('/');
      for (let i = 1; i < parts.length; i++) {
        const parent = parts.slice(0, i).join('/');
        if (files.get(parent)?.startsWith('d') !== true) files.set(parent, 'd0');
      }
      if (word !== 'w')
        files.set(path, word.startsWith('d') || word === 'o' ? `d${word.length - 1}` : `${word.length}`);
    }
  }
  return Object.fromEntries([...files].sort(([a], [b]) => compareTreePaths(a, b)));
}

test('any layers look as extracting them does', async () => {
  const spec = fc
    .dictionary(
      fc.constantFrom('a', 'a-', 'a/a', 'a/b', 'a/b/c', 'a/b/d', 'b', 'b/c', 'b/c/d'),
      fc.constantFrom('d', 'dd', 'o', 'w', 'x', 'yy'),
    )
    // Nothing lies below what is no directory in one and the same layer.
    .map((words) =>
      Object.fromEntries(
        Object.entries(words).filter(([path]) =>
          path.split('/').every((_, i, parts) => i === 0 || /^[do]|^$/.test(words[parts.slice(0, i).join('/')] ?? '')),
        ),
      ),
    );
  await fc.assert(
    fc.asyncProperty(fc.array(spec, { maxLength: 5 }), async (specs) => {
      const found = await view(...specs);
      const expected = applied(specs);
      expect(found).toEqual(expected);
      expect(Object.keys(found)).toEqual(Object.keys(expected));
    }),
    { numRuns: 500 },
  );
});

test('so do stacks of so many that they are looked at in groups', async () => {
  const names = ['a', 'b', 'a/a', 'a/b', 'b/b', 'c'];
  const words = ['d', 'o', 'w', 'x', 'yy'];
  const layers = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...words)), {
    minLength: 3 * GROUP_SIZE,
    maxLength: 4 * GROUP_SIZE,
  });
  await fc.assert(
    fc.asyncProperty(layers, fc.nat(100), async (entries, quiet) => {
      // Most groups say nothing of most paths.
      const specs = entries.map(([path, word], i) =>
        (i * 7) % 101 < quiet ? { [`only-${i}/${path}`]: 'x' } : { [path]: word },
      );
      expect(await view(...specs)).toEqual(applied(specs));
      const { files } = snapshotOf(specs.map((spec) => layer(spec)));
      const shown = applied(specs);
      for (const path of names) expect(brief(await files.lookup(path)), path).toBe(shown[path]);
    }),
    { numRuns: 60 },
  );
});
