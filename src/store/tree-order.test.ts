import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePath, encodePathBytes } from '../sys/path.ts';
import { compareTreePaths } from './tree-order.ts';

/** The definition: bytes, with `/` below all others. */
function byDefinition(a: string, b: string): number {
  const key = (path: string): Buffer => Buffer.from(encodePathBytes(path).map((byte) => (byte === 0x2f ? 0 : byte)));
  return Buffer.compare(key(a), key(b));
}

test.each([
  ['', 'a'],
  ['a', 'a/b'],
  ['a/b', 'a-b'],
  ['a/z', 'a b'],
  ['a', 'b'],
  ['Z', 'a'],
  ['a/b/c', 'a/b-c'],
  ['ab', 'a\udcff'],
  ['\ufffd', '😀'], // UTF-16 has them the other way round
  ['é', '\udcff'],
  ['\udc80', 'é'],
  ['😀a', '😁'],
])('%j comes before %j', (a, b) => {
  expect(compareTreePaths(a, b)).toBeLessThan(0);
  expect(compareTreePaths(b, a)).toBeGreaterThan(0);
  expect(compareTreePaths(a, a)).toBe(0);
});

test('any two paths are in the order of their bytes', () => {
  const bytes = fc.constantFrom(
    0x2f,
    0x2d,
    0x61,
    0x7a,
    0xc3,
    0xa9,
    0xef,
    0xbf,
    0xbd,
    0xf0,
    0x9f,
    0x98,
    0x80,
    0xff,
    0x01,
  );
  const path = fc.array(bytes, { maxLength: 12 }).map((list) => decodePath(Uint8Array.from(list)));
  fc.assert(
    fc.property(path, path, (a, b) => {
      expect(Math.sign(compareTreePaths(a, b))).toBe(byDefinition(a, b));
    }),
    { numRuns: 2000 },
  );
});
