import { expect, test } from 'vitest';
import type { Layer, Snapshot } from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import type { LayerDeps } from './file-layer.ts';
import { diffSnapshots, mergeSnapshots } from './merge.ts';

const layers = new Map<string, Layer>();
/** A chain of layers by their letters. */
function chain(ids: string): Snapshot {
  return snapshotOf(
    Array.from(ids, (id) => {
      const known = layers.get(id);
      if (known !== undefined) return known;
      const layer = { id, tree: async () => new Map() } as unknown as Layer;
      layers.set(id, layer);
      return layer;
    }),
  );
}
const idsOf = (snapshot: Snapshot): string => snapshot.layers.map(({ id }) => id).join('');

test.each([
  [['ab', 'c'], 'abc'],
  [['a', undefined, 'b'], 'ab'],
  [[undefined], ''],
  // What stands on the first already is not put there again.
  [['ab', 'abc'], 'abc'],
  // Layers above say what they say once more: over b, and only once, as an overlay takes a directory once.
  [['ab', 'ac'], 'bac'],
  [['abc', 'a'], 'bca'],
])('merge of %j is %s', (inputs, expected) => {
  expect(idsOf(mergeSnapshots(inputs.map((ids) => (ids === undefined ? undefined : chain(ids)))))).toBe(expected);
});

test.each([
  ['ab', 'abcd', 'cd'],
  ['ab', 'ab', ''],
  [undefined, 'ab', 'ab'],
])('diff of %s and %s is %s', async (lower, upper, expected) => {
  const below = lower === undefined ? undefined : chain(lower);
  expect(idsOf(await diffSnapshots(below, chain(upper), {} as LayerDeps))).toBe(expected);
});
