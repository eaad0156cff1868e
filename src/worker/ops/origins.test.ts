import { expect, test } from 'vitest';
import type { ContentLocation, TreePath } from '../../contracts/index.ts';
import { memoryTree } from '../testing/memory-tree.ts';
import { locateOrigins } from './origins.ts';
import type { Origin } from './origins.ts';

const a = memoryTree({ 'd/1': 'one', 'd/3': 'three' });
const b = memoryTree({ 2: 'two', 4: 'four' });
const origins: Readonly<Record<TreePath, Origin>> = {
  w: { kind: 'tree', tree: a, path: 'd/1' },
  x: { kind: 'tree', tree: b, path: '2' },
  y: { kind: 'fixed', location: { kind: 'file', path: '/there' } },
  z: { kind: 'tree', tree: a, path: 'd/3' },
};
const originOf = (path: TreePath): Origin => origins[path] ?? { kind: 'tree', tree: b, path: 'none' };
const textOf = (location: ContentLocation): string =>
  location.kind === 'bytes' ? Buffer.from(location.data).toString() : location.path;

test('files of several trees are located in the order asked', async () => {
  const found = await locateOrigins(['z', 'x', 'y', 'w'], originOf);
  expect(Array.from(found, textOf)).toEqual(['three', 'two', '/there', 'one']);
});

test('a tree that has no answer fails the whole', async () => {
  const silent: Origin = { kind: 'tree', tree: { ...b, locate: async () => [] }, path: '2' };
  const found = await locateOrigins(['x'], () => silent);
  expect(() => [...found]).toThrow(expect.objectContaining({ code: 'source-missing' }));
});
