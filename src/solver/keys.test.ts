import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeKey, type KeyPart } from './keys.ts';

const parts: fc.Arbitrary<KeyPart> = fc.letrec<{ part: KeyPart }>((tie) => ({
  part: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: fc.constantFrom('a', ':', '1', 's', 'l', 'u', 'é', '\0', '\ud800', '\udc80') }),
    fc.array(tie('part')),
  ),
})).part;

test('different parts have different keys', () => {
  fc.assert(
    fc.property(
      parts,
      parts,
      (a, b) => (makeKey('lookup', a) === makeKey('lookup', b)) === (JSON.stringify(a) === JSON.stringify(b)),
    ),
    { numRuns: 2000 },
  );
});

test.each<[KeyPart, KeyPart]>([
  [
    ['a', 'b'],
    ['ab', ''],
  ],
  [
    ['a', ['b']],
    ['a', 'b'],
  ],
  ['s1:a', ['a']],
  [[], ''],
  ['\udc80', '\udc81'],
  ['\udc80', 'dc80'],
])('%j is not %j', (a, b) => {
  expect(makeKey('lookup', a)).not.toBe(makeKey('lookup', b));
});

test('keys say their kind and version', () => {
  expect(makeKey('definition', 'x')).toMatch(/^d1-[0-9a-f]{64}$/);
  expect(makeKey('lookup', 'x').slice(3)).not.toBe(makeKey('record', 'x').slice(3));
});

test('keys stay what they are from version to version', () => {
  // A changed value spoils every cache there is: raise KEY_VERSION and say why in the change log.
  expect(
    makeKey('lookup', [
      ['op', 'exec'],
      ['edge', 'x', '0'],
    ]),
  ).toBe('k1-5a086ec1c36ceb1513141fcdc275fd7a3984ab695a82ebcb528544a3568716da');
});
