import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeOutputs, encodeOutputs } from './record-outputs.ts';

test.each([
  [[[]], '[[]]'],
  [[['1000']], '[["1000"]]'],
  [[['1000', '1001']], '[["1000+1"]]'],
  [[['1000', '2000', '2001', '2002']], '[["1000","2000+2"]]'],
  [[['1009', '100a', '100z', '1010']], '[["1009+1","100z+1"]]'],
  // Of two blocks, one after the other.
  [[['1zzy', '1zzz', '2000']], '[["1zzy+2"]]'],
  [[['2001', '2000', '2000', '2001']], '[["2001","2000","2000+1"]]'],
  [[['1000', '1001'], ['1002']], '[["1000+1"],["1002"]]'],
  // No ids of a store.
  [[['0001', '0002', 'a-b', 'a-c', 'A', 'B']], '[["0001","0002","a-b","a-c","A","B"]]'],
])('%j is %s', (outputs, text) => {
  expect(encodeOutputs(outputs)).toBe(text);
});

test('a row of an earlier version names every layer', () => {
  expect(decodeOutputs('[["1000","1001","1002"],[]]')).toEqual([['1000', '1001', '1002'], []]);
});

test('what is written is read', () => {
  const near = fc.integer({ min: 36 ** 3, max: 36 ** 3 + 50 });
  const id = fc.oneof(near, fc.integer({ min: 36 ** 3, max: Number.MAX_SAFE_INTEGER })).map((n) => n.toString(36));
  const run = fc
    .tuple(near, fc.integer({ min: 0, max: 80 }))
    .map(([first, more]) => Array.from({ length: more + 1 }, (_, i) => (first + i).toString(36)));
  const chain = fc.array(fc.oneof(run, fc.array(id, { maxLength: 5 })), { maxLength: 6 }).map((parts) => parts.flat());
  fc.assert(
    fc.property(fc.array(chain, { maxLength: 3 }), (outputs) => {
      expect(decodeOutputs(encodeOutputs(outputs))).toEqual(outputs);
    }),
  );
});

test('a chain takes as much as its number of runs, not of layers', () => {
  const layers = Array.from({ length: 5000 }, (_, i) => (36 ** 3 + i).toString(36));
  expect(encodeOutputs([layers])).toBe('[["1000+4999"]]');
});
