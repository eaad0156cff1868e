import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TreeEntry, TreePath } from '../contracts/index.ts';
import { decodeTree, encodeTree } from './tree-codec.ts';
import { compareTreePaths } from './tree-order.ts';
import { hasParents } from './tree-questions.ts';
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

test('rows that are taken at once are those that are set', () => {
  const tables = fc.dictionary(path, fc.tuple(entry, fc.nat(3)), { noNullPrototype: true });
  fc.assert(
    fc.property(
      tables,
      tables,
      fc.constantFrom('', 'b/', 'é', 'bb/\udcff/'),
      fc.boolean(),
      (own, others, prefix, skips) => {
        const target = new TreeTable();
        for (const [at, [put, mark]] of Object.entries(own)) target.set(at, put, mark);
        const expected = new Map(Object.entries(own).map(([at, [put]]) => [at, put]));
        const unfinished = new TreeTable();
        for (const [at, [put]] of Object.entries(others)) unfinished.set(`a/${at}`, put);
        const source = unfinished.finish();
        const from = skips && source.size > 0 ? 1 : 0;
        const taken = [...source].slice(from).map(([at, put]) => [prefix + at.slice(2), put] as const);
        const last = [...expected.keys()].sort(compareTreePaths).at(-1);
        const done = target.takeRows(source, from, source.size, 2, prefix, 9);
        const follow = taken[0] === undefined || last === undefined || compareTreePaths(last, taken[0][0]) < 0;
        if (!follow) expect(done).toBe(false);
        if (!done) expect(taken).not.toEqual([]);
        if (done) for (const [at, put] of taken) expected.set(at, put);
        const sorted = [...expected].sort((a, b) => compareTreePaths(a[0], b[0]));
        expect([...target.finish()]).toEqual(sorted);
        if (done) for (const [at] of taken) expect(target.mark(at)).toBe(9);
      },
    ),
    { numRuns: 500 },
  );
});

test('rows are found by what lies below a path', () => {
  fc.assert(
    fc.property(steps, path, (put, at) => {
      const unfinished = new TreeTable();
      for (const step of put) if (step.entry !== undefined) unfinished.set(step.path, step.entry);
      const table = unfinished.finish();
      const paths = [...table.keys()];
      expect(paths.slice(...table.rowsBelow(at))).toEqual(paths.filter((one) => one.startsWith(`${at}/`)));
      expect(paths.slice(table.endBelow(at))).toEqual(
        paths.filter((one) => !one.startsWith(`${at}/`) && compareTreePaths(one, at) > 0),
      );
      const hasAll = paths.every((one) => {
        const slash = one.lastIndexOf('/');
        return slash < 0 || table.get(one.slice(0, slash))?.type === 'directory';
      });
      expect(hasParents(table)).toBe(hasAll);
    }),
    { numRuns: 500 },
  );
});
