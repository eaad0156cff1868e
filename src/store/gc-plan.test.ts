import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { rootObjects, type Inventory, type Item, type ObjectKey, type StoreObject } from './gc-inventory.ts';
import { planCollection, type PlanOptions } from './gc-plan.ts';
import { storeUsage, usageItems } from './usage-items.ts';

const object = (name: string, more: Partial<StoreObject> = {}): StoreObject => ({
  key: `layer/${name}`,
  size: 10,
  used: 0,
  held: false,
  isSpare: false,
  ...more,
});

const item = (id: string, needs: string, used: number, more: Partial<Item> = {}): Item => ({
  type: 'step',
  id,
  description: id,
  needs: needs.split('').map((name): ObjectKey => `layer/${name}`),
  created: used,
  used,
  project: undefined,
  isRoot: false,
  ...more,
});

function inventory(objects: readonly StoreObject[], items: readonly Item[]): Inventory {
  return { objects: new Map(objects.map((one) => [one.key, one])), items, database: 0 };
}

const letters = (text: string, more: Partial<StoreObject> = {}) => text.split('').map((name) => object(name, more));

function plan(given: Inventory, options: Partial<PlanOptions> = {}) {
  const { items, objects, freed, cache } = planCollection(given, { includesShared: false, ...options });
  const names = objects.map((key) => key.replace('layer/', '')).sort();
  return { items: items.map(({ id }) => id), objects: names.join(''), freed, cache };
}

describe('a collection without bounds', () => {
  const image = item('image', 'ab', 1, { type: 'image', isRoot: true });

  test('leaves what an image needs, and what is only that', () => {
    const given = inventory(letters('abc'), [image, item('one', 'a', 1), item('two', 'ac', 2)]);
    expect(plan(given)).toEqual({ items: ['two'], objects: 'c', freed: 10, cache: 0 });
    expect(plan(given, { includesShared: true }).items).toEqual(['one', 'two']);
  });

  test('removes what nothing needs', () => {
    expect(plan(inventory(letters('abx'), [image]))).toMatchObject({ items: [], objects: 'x' });
  });

  test('leaves what is held, and steps whose files all are', () => {
    const objects = [...letters('cd', { held: true }), ...letters('ex')];
    const given = inventory(objects, [item('all', 'cd', 1), item('part', 'ce', 1)]);
    expect(plan(given)).toMatchObject({ items: ['part'], objects: 'ex' });
  });

  test('takes only what was not used since', () => {
    const objects = [...letters('cd'), object('x', { used: 3 }), object('y', { used: 8 })];
    const given = inventory(objects, [item('old', 'c', 4), item('new', 'd', 6)]);
    expect(plan(given, { usedBefore: 5 })).toMatchObject({ items: ['old'], objects: 'cx' });
  });

  test('takes only what matches, and what that alone needs', () => {
    const given = inventory(letters('cdx'), [item('one', 'c', 1), item('two', 'cd', 2)]);
    expect(plan(given, { matches: ({ id }) => id === 'two' })).toMatchObject({ items: ['two'], objects: 'd' });
  });

  test('removes a step of which a part is gone', () => {
    expect(plan(inventory([], [item('broken', '', 9, { isBroken: true })]))).toMatchObject({ items: ['broken'] });
  });
});

describe('a collection that keeps some', () => {
  test('removes what was not used for longest, and no more than it has to', () => {
    const items = [item('b', 'b', 2), item('c', 'c', 3), item('a', 'a', 1)];
    const given = inventory(letters('abc'), items);
    expect(plan(given, { keepBytes: 30 }).items).toEqual([]);
    expect(plan(given, { keepBytes: 29 }).items).toEqual(['a']);
    expect(plan(given, { keepBytes: 10 }).items).toEqual(['a', 'b']);
    expect(plan(given, { keepBytes: 0 }).items).toEqual(['a', 'b', 'c']);
  });

  test('removes what nothing needs first', () => {
    const given = inventory([...letters('a'), object('x', { used: 9 })], [item('a', 'a', 1)]);
    expect(plan(given, { keepBytes: 10 })).toMatchObject({ items: [], objects: 'x', cache: 10 });
  });

  test('does not count what images need', () => {
    const given = inventory(letters('abc'), [item('image', 'ab', 1, { isRoot: true }), item('c', 'c', 1)]);
    expect(plan(given, { keepBytes: 10 })).toMatchObject({ objects: '', cache: 10 });
  });

  test('of steps that were used together, removes what is on top first', () => {
    const base = item('base', 'a', 5, { created: 1 });
    const top = item('top', 'ab', 5, { created: 2 });
    expect(plan(inventory(letters('ab'), [base, top]), { keepBytes: 10 })).toMatchObject({
      items: ['top'],
      objects: 'b',
    });
  });

  test('removes second forms before steps that were used about then', () => {
    const day = 24 * 3600 * 1000;
    const objects = [object('a', { used: 10 * day }), object('b', { used: 11 * day, isSpare: true })];
    const items = [item('step', 'ab', 11 * day), item('older', 'a', 9 * day), item('oldest', 'a', 7 * day)];
    const given = inventory(objects, items);
    expect(plan(given, { keepBytes: 10 })).toMatchObject({ items: ['oldest'], objects: 'b' });
    expect(plan(given, { keepBytes: 0 })).toMatchObject({ items: ['oldest', 'older', 'step'], objects: 'ab' });
  });
});

test('whatever there is, what images and steps that stay need stays, and the sums are right', () => {
  const names = 'abcdefgh';
  const needs = fc.subarray(names.split('')).map((list) => list.join(''));
  const items = fc.array(fc.record({ needs, used: fc.nat(9), isRoot: fc.boolean(), created: fc.nat(9) }), {
    maxLength: 8,
  });
  const objects = fc.array(
    fc.record({ size: fc.nat(100), held: fc.boolean(), isSpare: fc.boolean(), used: fc.nat(9) }),
    {
      minLength: names.length,
      maxLength: names.length,
    },
  );
  const options = fc.record({
    keepBytes: fc.option(fc.nat(500), { nil: undefined }),
    usedBefore: fc.option(fc.nat(9), { nil: undefined }),
    includesShared: fc.boolean(),
    matches: fc.option(
      fc.constant(({ created }: Item) => created % 2 === 0),
      { nil: undefined },
    ),
  });
  fc.assert(
    fc.property(items, objects, options, (drawn, things, how) => {
      const given = inventory(
        things.map((thing, i) => object(names[i] ?? '', thing)),
        drawn.map(({ needs: of, used, isRoot, created }, i) => item(String(i), of, used, { isRoot, created })),
      );
      const done = planCollection(given, how);
      const gone = new Set(done.objects);
      const left = given.items.filter((one) => !done.items.includes(one));
      const roots = rootObjects(given);
      for (const key of gone) {
        const thing = given.objects.get(key);
        expect(thing?.held).toBe(false);
        expect(roots.has(key)).toBe(false);
        if (thing?.isSpare !== true) expect(left.some((one) => one.needs.includes(key))).toBe(false);
      }
      expect(done.items.some(({ isRoot }) => isRoot)).toBe(false);
      const sum = (keys: Iterable<ObjectKey>) =>
        [...keys].reduce((total, key) => total + (given.objects.get(key)?.size ?? 0), 0);
      expect(done.freed).toBe(sum(gone));
      expect(done.cache).toBe(sum([...given.objects.keys()].filter((key) => !gone.has(key) && !roots.has(key))));
      const usage = storeUsage(given, 0, 1);
      expect(Object.values(usage.types).reduce((total, { size }) => total + size, 0)).toBe(sum(given.objects.keys()));
      expect(usage.total).toBe(sum(given.objects.keys()));
    }),
  );
});

test('what a step added is what no earlier one had; alone is what only it needs', () => {
  const given = inventory(letters('abc'), [item('one', 'a', 1), item('two', 'ab', 2), item('three', 'abc', 3)]);
  const seen = [...usageItems(given).values()].map(({ id, size, reclaimable }) => [id, size, reclaimable]);
  expect(seen).toEqual([
    ['one', 10, 0],
    ['two', 10, 0],
    ['three', 10, 10],
  ]);
});
