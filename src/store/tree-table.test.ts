import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TreeEntry, TreePath } from '../contracts/index.ts';
import { decodeTree, encodeTree } from './tree-codec.ts';
import { compareTreePaths } from './tree-order.ts';
import { TreeTable } from './tree-table.ts';

const META = { mode: 0o644, uid: 1, gid: 2, mtime: 1_700_000_000, mtimeNsec: 5 };

function fileOf(size: number): TreeEntry {
  return { type: 'file', ...META, size, digest: `sha256:${size.toString(16).padStart(64, '0')}` };
}

const path = fc
  .array(fc.constantFrom('a', 'a-', 'a.', 'b', 'é', '😀', '\udcff', 'bb'), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'));
const entry: fc.Arbitrary<TreeEntry> = fc.oneof(
  fc.nat(99).map(fileOf),
  fc.constant<TreeEntry>({ type: 'directory', ...META, opaque: true }),
  fc.constant<TreeEntry>({ type: 'symlink', ...META, target: 'x' }),
  fc.constant<TreeEntry>({ type: 'whiteout' }),
);
type Step = { readonly path: TreePath; readonly entry: TreeEntry | undefined; readonly mark: number };
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({ path, entry: fc.option(entry, { nil: undefined, freq: 4 }), mark: fc.nat(3) }),
  { maxLength: 40 },
);

test('a table is a map that remembers marks', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const model = new Map<TreePath, { readonly entry: TreeEntry; readonly mark: number }>();
      const table = new TreeTable();
      for (const { path: at, entry: put, mark } of taken) {
        if (put === undefined) {
          table.delete(at);
          model.delete(at);
        } else {
          table.set(at, put, mark);
          model.set(at, { entry: put, mark });
        }
        expect(table.size).toBe(model.size);
        expect(table.get(at)).toEqual(model.get(at)?.entry);
      }
      const sorted = [...model].sort((a, b) => compareTreePaths(a[0], b[0]));
      const finished = table.finish();
      expect([...finished]).toEqual(sorted.map(([at, { entry: put }]) => [at, put]));
      expect([...finished.keys()]).toEqual(sorted.map(([at]) => at));
      expect([...finished.values()]).toEqual(sorted.map(([, { entry: put }]) => put));
      for (const { path: at } of taken) {
        for (const one of [table, finished]) {
          expect(one.get(at)).toEqual(model.get(at)?.entry);
          expect(one.has(at)).toBe(model.has(at));
          expect(one.mark(at)).toBe(model.get(at)?.mark ?? 0);
          for (const above of ['', at, at.slice(0, -1), `${at}/a`]) {
            const below = sorted.some(([known]) => known.startsWith(above === '' ? '' : `${above}/`));
            expect([above, one.hasBelow(above)]).toEqual([above, below]);
          }
        }
      }
      const read = decodeTree(encodeTree(finished));
      expect([...read]).toEqual([...finished]);
      for (const [at, put] of sorted.toReversed()) expect(read.get(at)).toEqual(put.entry);
    }),
  );
});

test('what is in order is not looked up, and takes little', () => {
  const table = new TreeTable();
  for (let i = 0; i < 10_000; i++) table.set(`d${1000 + Math.floor(i / 100)}/f${100 + (i % 100)}`, fileOf(i));
  expect(table.finish()).toBe(table);
  const views: readonly { readonly byteLength: number }[] = Object.values(table.columns().columns);
  const bytes = views.reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(bytes / table.size).toBeLessThan(200);
});
