import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { decodePath, encodePath, encodePathBytes, hostPath, readNames } from './path.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-path-'));
afterAll(() => rmSync(dir, { recursive: true }));

test('any bytes survive the way to a tree path and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(Buffer.compare(encodePathBytes(decodePath(bytes)), Buffer.from(bytes))).toBe(0);
    }),
  );
});

test('valid names stay the string they are', () => {
  for (const name of ['a', 'ä/ö', '日本', '😀', '\ufffd']) {
    expect(encodePath(name)).toBe(name);
    expect(decodePath(Buffer.from(name))).toBe(name);
  }
});

test.each([
  ['lone continuation byte', [0x61, 0x80], 'a\udc80'],
  ['overlong slash', [0xc0, 0xaf], '\udcc0\udcaf'],
  ['surrogate in UTF-8', [0xed, 0xa0, 0x80], '\udced\udca0\udc80'],
  ['cut sequence', [0xe2, 0x82], '\udce2\udc82'],
  ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80], '\udcf4\udc90\udc80\udc80'],
  ['latin1 before valid', [0xe9, 0xc3, 0xa9], '\udce9é'],
])('%s', (_, bytes, text) => {
  expect(decodePath(Buffer.from(bytes))).toBe(text);
  expect([...encodePathBytes(text)]).toEqual(bytes);
});

test('other lone surrogates cannot come from a name and become U+FFFD', () => {
  expect(encodePath('\ud800x')).toEqual(Buffer.from('\ufffdx'));
});

test('a directory is listed with names that are not UTF-8', () => {
  for (const name of [Buffer.from('plain'), Buffer.from([0x66, 0xff]), Buffer.from('\ufffd'), Buffer.from('ü')]) {
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), '');
  }
  expect(readNames(dir).sort()).toEqual(['f\udcff', 'plain', 'ü', '\ufffd'].sort());
  expect(hostPath(dir, 'f\udcff')).toEqual(Buffer.concat([Buffer.from(`${dir}/f`), Buffer.of(0xff)]));
  expect(hostPath(dir, '')).toBe(dir);
});
