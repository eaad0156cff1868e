import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { asBuildError, errnoOf, systemError } from './errno.ts';

test.each([
  [28, 'disk-full', 'ENOSPC'],
  [122, 'disk-full', 'EDQUOT'],
  [13, 'permission', 'EACCES'],
  [1, 'permission', 'EPERM'],
  [30, 'permission', 'EROFS'],
  [38, 'host', 'ENOSYS'],
  [5, 'host', 'EIO'],
])('errno %d is %s', (errno, code, name) => {
  const error = systemError(errno, 'openat2', '/some/path');
  expect(error).toMatchObject({ code });
  expect(error.message).toContain(name);
  expect(error.message).toContain('openat2');
  expect(error.message).toContain('/some/path');
  expect(errnoOf(error)).toBe(name);
});

test('errors of node:fs are converted, ours pass', () => {
  let thrown: unknown;
  try {
    readFileSync('/nonexistent/file');
  } catch (error) {
    thrown = error;
  }
  const converted = asBuildError(thrown);
  expect(converted).toBeInstanceOf(BuildError);
  expect(converted).toMatchObject({
    code: 'host',
    message: 'no such file or directory (ENOENT, open): /nonexistent/file',
  });
  expect(errnoOf(converted)).toBe('ENOENT');
  expect(asBuildError(converted)).toBe(converted);
  expect(asBuildError(new TypeError('x'), 'pack')).toMatchObject({ code: 'internal', message: 'pack: x' });
  const copying = Object.assign(new Error('ENOSPC: no space left on device'), {
    code: 'ENOSPC',
    syscall: 'copyfile',
    path: '/a',
    dest: '/b',
  });
  expect(asBuildError(copying).message).toBe('no space left on device (ENOSPC, copyfile): /a -> /b');
});
