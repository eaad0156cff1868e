import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FileTree, Layer, Tree, TreePath } from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import { compareTreePaths } from '../../store/index.ts';
import { NOW, StagedTree, copyAction, copyOnto, mkDir, mkFile } from '../testing/actions.ts';
import { describeTree, memoryTree } from '../testing/memory-tree.ts';
import type { Literal } from '../testing/memory-tree.ts';
import { diffTrees } from './diff.ts';
import { makeDirectory, makeFile, makeSymlink } from './make.ts';
import { removePaths } from './remove.ts';

const name = fc.constantFrom('a', 'b', 'c', 'a-');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const literal: fc.Arbitrary<Literal> = fc.oneof(
  fc.constantFrom('', 'x', 'y'),
  fc.constant<Literal>({ type: 'directory' }),
  fc.constantFrom('a', '/b', '../c', 'nowhere').map((target): Literal => ({ type: 'symlink', target })),
);

/** Paths below files are left out, as no file system has them. */
const literals = fc.dictionary(path, literal, { maxKeys: 8 }).map((entries) => {
  const kept: Record<string, Literal> = {};
  for (const [at, entry] of Object.entries(entries).sort(([a], [b]) => compareTreePaths(a, b))) {
    const parents = at.split('/').map((_, i, names) => names.slice(0, i).join('/'));
    const below = parents.some((parent) => {
      const there = kept[parent];
      return there !== undefined && (typeof there === 'string' || there.type !== 'directory');
    });
    if (!below) kept[at] = entry;
  }
  return kept;
});

type Step = (tree: StagedTree) => Promise<void>;
const making = { owner: undefined, stamp: NOW };
const step: fc.Arbitrary<Step> = fc.oneof(
  path.map(
    (at): Step =>
      (tree) =>
        makeDirectory(tree, mkDir(`/${at}`), making),
  ),
  fc.tuple(path, fc.constantFrom('x', 'z')).map(
    ([at, text]): Step =>
      (tree) =>
        makeFile(tree, mkFile(`/${at}`, text), making),
  ),
  path.map(
    (at): Step =>
      (tree) =>
        makeSymlink(tree, { kind: 'symlink', oldPath: 'a', newPath: `/${at}`, timestamp: -1n }, making),
  ),
  path.map(
    (at): Step =>
      (tree) =>
        removePaths(tree, { kind: 'rm', path: `/${at}`, allowNotFound: true, allowWildcard: false }),
  ),
  fc.tuple(literals, path, fc.boolean()).map(
    ([source, at, alwaysReplaceExistingDestPaths]): Step =>
      (tree) =>
        copyOnto(tree, memoryTree(source), copyAction('/', `/${at}`, { alwaysReplaceExistingDestPaths })),
  ),
);

function layerOf(id: string, tree: Tree, files: FileTree): Layer {
  return {
    id,
    tree: async () => tree,
    digests: async (paths) => files.digests(paths),
    locate: async (paths) => files.locate(paths),
    blob: async () => undefined,
  };
}

/** All that is to be seen: by walking, and by listing and looking up. */
async function seen(files: FileTree): Promise<{ walked: string[]; looked: string[] }> {
  const looked: string[] = [];
  const visit = async (directory: TreePath): Promise<void> => {
    for (const child of (await files.list(directory)) ?? []) {
      const at = directory === '' ? child : `${directory}/${child}`;
      const entry = await files.lookup(at);
      looked.push(...describeTree(entry === undefined ? [] : [[at, entry]]));
      if (entry?.type === 'directory') await visit(at);
    }
  };
  await visit('');
  // What is opaque in a layer is a plain directory to see.
  const plain = (lines: string[]): string[] => lines.map((line) => line.replace(/ opaque$/, ''));
  return { walked: plain(describeTree(await files.walk(''))), looked: plain(looked) };
}

test('the difference of two trees, on the one, shows the other', async () => {
  await fc.assert(
    fc.asyncProperty(literals, literals, async (lower, upper) => {
      const from = memoryTree(lower);
      const to = memoryTree(upper);
      const { tree } = await diffTrees(from, to);
      const bottom = layerOf('base', new Map(await from.walk('')), from);
      const merged = snapshotOf([bottom, layerOf('top', tree, to)]).files;
      expect((await seen(merged)).walked).toEqual((await seen(to)).walked);
    }),
    { numRuns: 300 },
  );
});

test('what was seen while staging is what the finished layer shows on its base', async () => {
  await fc.assert(
    fc.asyncProperty(literals, fc.array(step, { maxLength: 6 }), async (entries, steps) => {
      const base = memoryTree(entries);
      const staged = new StagedTree(base);
      // A step that is refused may leave its beginnings: they count on both sides.
      for (const carryOut of steps) await carryOut(staged).catch(() => undefined);
      const before = await seen(staged);
      const { tree } = await staged.finish();
      const bottom = layerOf('base', new Map(await base.walk('')), base);
      const after = await seen(snapshotOf([bottom, layerOf('top', tree, staged)]).files);
      expect(after).toEqual(before);
      expect(after.looked).toEqual(after.walked);
      expect([...tree.keys()]).toEqual([...tree.keys()].sort(compareTreePaths));
    }),
    { numRuns: 300 },
  );
});
