import { expect, test } from 'vitest';
import { digestOf } from '../chain-id.ts';
import { decodeMountIndex, encodeMountIndex, type MountEntry, type MountIndex } from './mount-index.ts';
import { isMountNamed, mountTag } from './mount-tag.ts';

const meta = { mode: 0o644, uid: 1, gid: 2, mtime: -5, mtimeNsec: 999_999_999 };
const file = (text: string): MountEntry => ({ ...meta, type: 'file', digest: digestOf(text), size: text.length });
const directory: MountEntry = { ...meta, mode: 0o4755, type: 'directory' };
const pack = (name: string, ...texts: string[]) => ({
  digest: digestOf(name),
  size: 100,
  contents: texts.map((text) => ({ digest: digestOf(text), size: text.length })),
});
const subject = { name: 'the index' };

const index: MountIndex = {
  entries: new Map<string, MountEntry>([
    ['', directory],
    ['a', directory],
    ['a/one', file('one')],
    ['a/\udcff', file('two')],
    ['copy', file('one')],
    ['empty', file('')],
    ['link', { ...meta, type: 'symlink', target: '../../etc/passwd' }],
  ]),
  packs: [pack('p', 'dead', 'one'), pack('q', 'one', 'two')],
};

test('comes back as it was', () => {
  expect(decodeMountIndex(encodeMountIndex(index), subject)).toEqual(index);
});

test('equal indexes are equal bytes', () => {
  const again = decodeMountIndex(encodeMountIndex(index), subject);
  expect(Buffer.from(encodeMountIndex(again)).equals(encodeMountIndex(index))).toBe(true);
});

const plain = [0o644, 0, 0, 0, 0];
const document = (
  entries: readonly unknown[],
  packs: readonly unknown[] = [{ digest: digestOf('p'), size: 1, contents: [[short('x'), 1]] }],
) => Buffer.from(JSON.stringify({ version: 1, packs, entries }));
function short(text: string): string {
  return Buffer.from(digestOf(text).slice(7), 'hex').toString('base64url');
}

test.each<[string, Uint8Array]>([
  [
    'a path that leaves',
    document([
      ['', 'd', ...plain],
      ['..', 'd', ...plain],
    ]),
  ],
  [
    'a path that leaves later',
    document([
      ['', 'd', ...plain],
      ['a', 'd', ...plain],
      ['a/../../b', 'f', ...plain, 0],
    ]),
  ],
  [
    'an absolute path',
    document([
      ['', 'd', ...plain],
      ['/etc/passwd', 'f', ...plain, 0],
    ]),
  ],
  [
    'a NUL',
    document([
      ['', 'd', ...plain],
      ['a\0b', 'f', ...plain, 0],
    ]),
  ],
  [
    'a file below a link',
    document([
      ['', 'd', ...plain],
      ['a', 'l', ...plain, '/etc'],
      ['a/passwd', 'f', ...plain, 0],
    ]),
  ],
  [
    'a file below a file',
    document([
      ['', 'd', ...plain],
      ['a', 'f', ...plain, 0],
      ['a/b', 'f', ...plain, 0],
    ]),
  ],
  [
    'a child before its directory',
    document([
      ['', 'd', ...plain],
      ['a/b', 'f', ...plain, 0],
      ['a', 'd', ...plain],
    ]),
  ],
  [
    'a path twice',
    document([
      ['', 'd', ...plain],
      ['a', 'd', ...plain],
      ['a', 'l', ...plain, '/etc'],
    ]),
  ],
  ['a root that is a link', document([['', 'l', ...plain, '/etc']])],
  [
    'a content that no pack has',
    document([
      ['', 'd', ...plain],
      ['a', 'f', ...plain, 1],
    ]),
  ],
  ['a mode out of range', document([['', 'd', 0o100644, 0, 0, 0, 0]])],
  ['a negative owner', document([['', 'd', 0o644, -1, 0, 0, 0]])],
  [
    'a device',
    document([
      ['', 'd', ...plain],
      ['a', 'c', ...plain, 1],
    ]),
  ],
  ['a digest that is none', document([], [{ digest: digestOf('p'), size: 1, contents: [['abc', 1]] }])],
  ['a negative size', document([], [{ digest: digestOf('p'), size: 1, contents: [[short('x'), -1]] }])],
  ['another version', Buffer.from('{"version":2}')],
  ['no JSON', Buffer.from('{')],
])('refuses %s', (_, bytes) => {
  expect(() => decodeMountIndex(bytes, subject)).toThrow(expect.objectContaining({ code: 'hostile' }));
});

test.each<[string, string, string, RegExp]>([
  ['', 'main', '/npm', /^main-npm-[0-9a-f]{12}$/],
  ['', 'main', '//root/.cache/go-build', /^main-root-\.cache-go-build-[0-9a-f]{12}$/],
  ['caches', 'feature/ä', '/npm', /^caches-feature-npm-[0-9a-f]{12}$/],
  ['x'.repeat(200), 'y'.repeat(200), '/z'.repeat(200), /^[\w.-]{1,128}$/],
  ['', '///', '/', /^[0-9a-f]{12}$/],
])('the tag of %j %j %j', (prefix, scope, id, tag) => {
  expect(mountTag(prefix, scope, id)).toMatch(tag);
});

test('what looks the same in a tag is kept apart', () => {
  expect(mountTag('', 'a/b', '/npm')).not.toBe(mountTag('', 'a-b', '/npm'));
  expect(mountTag('', 'a', '/b-c')).not.toBe(mountTag('', 'a-b', '/c'));
});

test.each([
  ['/npm', 'npm', true],
  ['ns/npm', 'npm', true],
  ['//root/.npm', '/root/.npm', true],
  ['/npm', 'pm', false],
])('%j is named by %j: %j', (id, word, expected) => {
  expect(isMountNamed(id, word)).toBe(expected);
});
