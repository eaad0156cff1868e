import { expect, test } from 'vitest';
import { digestOf } from '../../image/index.ts';
import type { MountPack } from '../../image/index.ts';
import { groupContents, keptPacks } from './plan-packs.ts';

const MB = 1 << 20;
const pack = (name: string, ...contents: readonly (readonly [string, number])[]): MountPack => ({
  digest: digestOf(name),
  size: 1,
  contents: contents.map(([text, size]) => ({ digest: digestOf(text), size })),
});
const alive = (...items: readonly (readonly [string, number])[]) =>
  new Map(items.map(([text, size]) => [digestOf(text), size]));
const here = (...names: string[]) => new Set(names.map(digestOf));

test('a pack stays while half of it is alive', () => {
  const full = pack('p', ['a', 4 * MB], ['b', 4 * MB]);
  expect(keptPacks([full], alive(['a', 4 * MB]), here('a'))).toEqual([full]);
  expect(keptPacks([full], alive(), here())).toEqual([]);
  const mostlyDead = pack('q', ['a', MB], ['b', 7 * MB]);
  expect(keptPacks([mostlyDead], alive(['a', MB]), here('a'))).toEqual([]);
});

test('a pack stays when it alone has something', () => {
  const mostlyDead = pack('q', ['a', MB], ['b', 7 * MB]);
  expect(keptPacks([mostlyDead], alive(['a', MB]), here())).toEqual([mostlyDead]);
});

test('many small packs are brought together, large ones left alone', () => {
  const names = Array.from({ length: 17 }, (_, i) => `small ${i}`);
  const small = names.map((name) => pack(name, [name, 1000]));
  const large = pack('large', ['large', 8 * MB]);
  const all = alive(['large', 8 * MB], ...names.map((name) => [name, 1000] as const));
  expect(keptPacks([large, ...small], all, here('large', ...names))).toEqual([large]);
  const few = small.slice(0, 16);
  expect(keptPacks([large, ...few], all, here('large', ...names))).toEqual([large, ...few]);
});

test('files are grouped in order, large ones alone', () => {
  const item = (name: string, size: number) => ({ name, size });
  const groups = groupContents(
    [item('a', 3 * MB), item('b', 3 * MB), item('big', 20 * MB), item('c', MB), item('d', 4 * MB), item('e', MB)],
    32 * MB,
  );
  expect(groups.map((group) => group.map(({ name }) => name))).toEqual([['big'], ['a', 'b', 'c'], ['d', 'e']]);
  expect(groupContents([], 0)).toEqual([]);
});

test('a huge mount has few packs', () => {
  const items = Array.from({ length: 10_000 }, () => ({ size: 4 * MB }));
  expect(groupContents(items, 40_000 * MB).length).toBeLessThan(900);
});
