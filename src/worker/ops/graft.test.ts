import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { BuildError } from '../../contracts/index.ts';
import type { FileTree, Layer, Tree, TreeEntry, TreePath } from '../../contracts/index.ts';
import { mergeLayers } from '../../image/index.ts';
import type { CopyAction } from '../../llb/index.ts';
import { compareTreePaths, encodeTree } from '../../store/index.ts';
import { copyAction, copyOnto, StagedTree } from '../testing/actions.ts';
import { digestOf, dir, file, memoryTree } from '../testing/memory-tree.ts';

const meta = { mode: 0o640, uid: 1, gid: 2, mtime: 3, mtimeNsec: 4 };

function entryOf(word: string): TreeEntry {
  if (word === 'w') return { type: 'whiteout' };
  if (word.startsWith('d'))
    return { type: 'directory', ...meta, mode: 0o750, opaque: word === 'do' ? true : undefined };
  if (word === 'link') return { type: 'symlink', ...meta, target: 'x' };
  if (word === 'socket') return { type: 'socket', ...meta };
  if (word === 'device') return { type: 'char-device', ...meta, major: 1, minor: 3 };
  const xattrs = word === 'attr' ? new Map([['user.a', Buffer.from('1')]]) : undefined;
  const digest = word === 'unknown' ? undefined : digestOf(word);
  return { type: 'file', ...meta, size: word.length, digest, xattrs };
}

function layer(words: Readonly<Record<string, string>>): Layer {
  const found = Object.entries(words).map(([path, word]): [TreePath, TreeEntry] => [path, entryOf(word)]);
  const tree: Tree = new Map(found.sort(([a], [b]) => compareTreePaths(a, b)));
  return {
    id: 'l',
    tree: async () => tree,
    digests: async (paths) => paths.map((path) => digestOf(words[path] ?? '')),
    locate: async (paths) => Array.from(paths, (path) => ({ kind: 'file', path })),
    blob: async () => undefined,
  };
}

/** The layer, and where each of its files comes from. */
async function copied(source: FileTree, action: CopyAction): Promise<readonly unknown[]> {
  const staged = new StagedTree(memoryTree({ there: dir(), 'full/a': file('other'), 'full/z': dir() }));
  const owner = action.owner === undefined ? undefined : { uid: 7, gid: 0xffff_ffff };
  try {
    await copyOnto(staged, source, action, owner);
    // Another, that comes before what is there.
    await copyOnto(staged, source, { ...action, dest: '/again/' }, owner);
  } catch (error) {
    if (error instanceof BuildError && error.code !== 'internal') return [error.message];
    throw error;
  }
  const { tree, origins } = await staged.finish();
  const from = [...tree].map(([path, entry]) => {
    const origin = entry.type === 'file' ? origins.get(path) : undefined;
    return origin?.kind === 'tree' ? origin.path : origin?.kind;
  });
  return [Buffer.from(encodeTree(tree)).toString('hex'), [...tree.keys()], from, await staged.list('new')];
}

const action = fc.constantFrom<CopyAction>(
  copyAction('s', '/new/'),
  copyAction('s', '/deep/new'),
  copyAction('s', '/there'),
  copyAction('s', '/full/', { alwaysReplaceExistingDestPaths: true }),
  copyAction('s', '/'),
  copyAction('/', '/new/'),
  copyAction('s*', '/new/'),
  copyAction('s', '/new/', { mode: 0o604, modeStr: '' }),
  copyAction('s', '/new/', { mode: -1, modeStr: 'go+x' }),
  copyAction('s', '/new/', { timestamp: 5_000_000_006n }),
  copyAction('s', '/new/', { owner: { user: { kind: 'id', id: 7 }, group: { kind: 'id', id: 0xffff_ffff } } }),
);

test('what is copied at once is what is copied one by one', async () => {
  const atOnce = vi.spyOn(StagedTree.prototype, 'graft');
  const words = fc
    .dictionary(
      fc.constantFrom('s', 's/a', 's/a/a', 's/a/b', 's/a-', 's/b', 's/b/ü', 's/\udc80', 's2', 's2/a', 't'),
      fc.constantFrom('d', 'd', 'do', 'w', 'x', 'yy', 'link', 'socket', 'device', 'attr', 'unknown'),
    )
    .map((all) =>
      Object.fromEntries(
        Object.entries({ ...all, s: 'd' }).filter(([path]) =>
          path.split('/').every((_, i, parts) => i === 0 || (all[parts.slice(0, i).join('/')] ?? 'd').startsWith('d')),
        ),
      ),
    );
  await fc.assert(
    fc.asyncProperty(fc.array(words, { minLength: 1, maxLength: 3 }), action, async (specs, copy) => {
      const source = (): FileTree => mergeLayers(specs.map(layer));
      const plain = source();
      const oneByOne: FileTree = {
        lookup: (path) => plain.lookup(path),
        list: (path) => plain.list(path),
        walk: (path) => plain.walk(path),
        digests: (paths) => plain.digests(paths),
        locate: (paths) => plain.locate(paths),
      };
      expect(await copied(source(), copy)).toEqual(await copied(oneByOne, copy));
    }),
    { numRuns: 500 },
  );
  expect(await Promise.all(atOnce.mock.results.map(({ value }) => value as Promise<boolean>))).toContain(true);
});
