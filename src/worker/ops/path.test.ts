import { expect, test } from 'vitest';
import { dir, link, memoryTree } from '../testing/memory-tree.ts';
import { cleanDestination, cleanPath, resolvePath } from './path.ts';

test.each([
  ['/a/b', '/a/b'],
  ['a//b/./c/', '/a/b/c'],
  ['../../etc', '/etc'],
  ['/a/../../b', '/b'],
  ['', '/'],
])('cleanPath(%j) is %j', (path, expected) => {
  expect(cleanPath(path)).toBe(expected);
});

test.each([
  ['/a/', '/a/'],
  ['/a/.', '/a/.'],
  ['/', '/'],
  ['/.', '/.'],
  ['/a/../', '/'],
  ['/a', '/a'],
])('cleanDestination(%j) is %j', (path, expected) => {
  expect(cleanDestination(path)).toBe(expected);
});

const tree = memoryTree({
  'usr/lib/x': 'x',
  lib: link('usr/lib'),
  absolute: link('/usr'),
  out: link('../../../usr/lib'),
  loop: link('loop2'),
  loop2: link('loop'),
  dangling: link('nowhere/at/all'),
  'deep/up': link('../usr'),
  'deep/back': link('../deep/up/lib/../x'),
  plain: 'text',
  empty: dir(),
  root: link('/'),
});

test.each([
  ['/lib/x', true, 'usr/lib/x', 'file'],
  ['/lib', true, 'usr/lib', 'directory'],
  ['/lib', false, 'lib', 'symlink'],
  ['/absolute/lib/x', false, 'usr/lib/x', 'file'],
  // A link above the root is clamped: CVE-2018-15664, CVE-2019-10152.
  ['/out/x', true, 'usr/lib/x', 'file'],
  ['/deep/up/lib', true, 'usr/lib', 'directory'],
  ['/dangling', true, 'nowhere/at/all', undefined],
  ['/dangling/more', true, 'nowhere/at/all/more', undefined],
  ['/empty/new/file', true, 'empty/new/file', undefined],
  ['/root', true, '', 'directory'],
  ['/root/lib', true, 'usr/lib', 'directory'],
  ['/', true, '', 'directory'],
  ['/lib/../plain', true, 'plain', 'file'],
])('%s (follow last: %s) is %j', async (path, followLast, expected, type) => {
  const resolved = await resolvePath(tree, path, followLast);
  expect([resolved.path, resolved.entry?.type]).toEqual([expected, type]);
});

test('a file on the way is told apart from what is missing', async () => {
  expect(await resolvePath(tree, '/plain/below')).toEqual({
    path: 'plain/below',
    entry: undefined,
    notDirectory: 'plain',
  });
});

test('links in a circle end in an error', async () => {
  await expect(resolvePath(tree, '/loop/x')).rejects.toMatchObject({ code: 'copy' });
});
