import { expect, test } from 'vitest';
import { describeTree, dir, file, hard, link, memoryTree } from '../testing/memory-tree.ts';
import type { Literal } from '../testing/memory-tree.ts';
import { diffTrees } from './diff.ts';

type Literals = Record<string, Literal>;

test.each<[string, Literals, Literals, string[]]>([
  ['nothing', { 'a/f': 'x' }, { 'a/f': 'x' }, []],
  ['a new file', { a: dir() }, { 'a/f': 'x' }, ['a/f file 0644 0:0 1']],
  ['content of equal size', { f: 'x' }, { f: 'y' }, ['f file 0644 0:0 1']],
  ['a time of a file', { f: 'x' }, { f: file('x', { mtime: 3 }) }, ['f file 0644 0:0 1']],
  ['a time of a directory is no change', { d: dir() }, { d: dir({ mtime: 3 }) }, []],
  ['a mode of a directory', { 'd/f': 'x' }, { d: dir({ mode: 0o700 }), 'd/f': 'x' }, ['d/ 0700 0:0']],
  ['a file gone', { 'a/f': 'x', 'a/g': 'y' }, { 'a/g': 'y' }, ['a/f whiteout']],
  ['a directory gone', { 'a/b/f': 'x', 'a-b': 'y' }, { 'a-b': 'y' }, ['a whiteout']],
  ['a directory turned file', { 'a/b/f': 'x' }, { a: 'file' }, ['a file 0644 0:0 4']],
  ['a file turned directory', { a: 'file' }, { 'a/b': 'x' }, ['a/ 0755 0:0', 'a/b file 0644 0:0 1']],
  ['a link turned', { l: link('a') }, { l: link('b') }, ['l -> b 0:0']],
  ['everything gone', { 'a/f': 'x', b: 'y' }, {}, ['a whiteout', 'b whiteout']],
  [
    'all names of a changed file',
    { a: 'x', b: hard('a', 'x') },
    { a: 'y', b: hard('a', 'y') },
    ['a file 0644 0:0 1', 'b = a'],
  ],
  [
    'a new name of an old file brings the file',
    { a: 'x' },
    { a: 'x', b: hard('a', 'x') },
    ['a file 0644 0:0 1', 'b = a'],
  ],
])('%s', async (_, lower, upper, layer) => {
  expect(describeTree((await diffTrees(memoryTree(lower), memoryTree(upper))).tree)).toEqual(layer);
});
