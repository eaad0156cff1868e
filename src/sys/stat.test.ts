import { chmodSync, closeSync, lstatSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { errnoOf } from './errno.ts';
import { chmod, futimensNs, lchown, lstat, lstatAt, mknod, setModificationTime, utimens } from './stat.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-stat-'));
let dirFd = -1;
beforeAll(() => {
  dirFd = openSync(dir, 'r');
});
afterAll(() => {
  closeSync(dirFd);
  rmSync(dir, { recursive: true });
});

test.each([
  ['now', 1_700_000_000, 123_456_789],
  ['the epoch', 0, 0],
  ['before the epoch', -12, 999_999_999],
  ['after 2038', 2 ** 32 + 5, 1],
])('times are exact: %s', (name, seconds, nanoseconds) => {
  const path = join(dir, name.replaceAll(' ', '-'));
  writeFileSync(path, 'x');
  utimens(path, seconds, nanoseconds);
  for (const stat of [lstat(path), lstatAt(dirFd, name.replaceAll(' ', '-'))]) {
    expect(stat).toMatchObject({ type: 'file', mtime: seconds, mtimeNsec: nanoseconds, size: 1, nlink: 1 });
  }
});

test('a link is described and changed itself', () => {
  writeFileSync(join(dir, 'target'), 'long content');
  symlinkSync('target', join(dir, 'link'));
  utimens(join(dir, 'link'), 5, 6);
  lchown(join(dir, 'link'), 12, 34);
  expect(lstat(join(dir, 'link'))).toMatchObject({
    type: 'symlink',
    mtime: 5,
    mtimeNsec: 6,
    uid: 12,
    gid: 34,
    size: 6,
  });
  expect(lstat(join(dir, 'target'))).not.toMatchObject({ mtime: 5 });
  expect(lstat(join(dir, 'target'))).toMatchObject({ uid: process.getuid?.() });
});

test('lstatAt and lstat agree, also about the descriptor itself', () => {
  writeFileSync(join(dir, 'same'), 'abc');
  chmodSync(join(dir, 'same'), 0o4751);
  expect(lstatAt(dirFd, 'same')).toEqual(lstat(join(dir, 'same')));
  expect(lstatAt(dirFd, '')).toEqual(lstat(dir));
  expect(lstat(join(dir, 'same'))?.mode).toBe(0o4751);
});

test('nothing there is undefined; a file in the way too', () => {
  expect(lstat(join(dir, 'none'))).toBeUndefined();
  expect(lstatAt(dirFd, 'none')).toBeUndefined();
});

test.each([
  { type: 'char-device' as const, mode: 0o600, major: 1, minor: 3 },
  { type: 'char-device' as const, mode: 0o600, major: 0, minor: 0 },
  { type: 'block-device' as const, mode: 0o640, major: 300, minor: 70000 },
  { type: 'fifo' as const, mode: 0o644, major: 0, minor: 0 },
  { type: 'socket' as const, mode: 0o600, major: 0, minor: 0 },
])('mknod $type $major:$minor', (spec) => {
  const path = join(dir, `node-${spec.type}-${spec.major}`);
  mknod(path, spec);
  expect(lstat(path)).toMatchObject(spec);
  expect(lstatAt(dirFd, `node-${spec.type}-${spec.major}`)).toMatchObject(spec);
});

test('only the modification time', () => {
  const path = join(dir, 'mtime');
  writeFileSync(path, '');
  utimens(path, 100, 0);
  setModificationTime(path, 200, 7);
  expect(lstat(path)).toMatchObject({ mtime: 200, mtimeNsec: 7 });
  expect(lstatSync(path).atimeMs).toBe(100_000);
  const fd = openSync(path, 'r+');
  futimensNs(fd, 300, 8);
  closeSync(fd);
  expect(lstat(path)).toMatchObject({ mtime: 300, mtimeNsec: 8 });
});

test('names that are not UTF-8', () => {
  const path = `${dir}/f\udcff`;
  mknod(path, { type: 'file', mode: 0o600 });
  chmod(path, 0o640);
  utimens(path, 9, 9);
  expect(lstat(path)).toMatchObject({ type: 'file', mode: 0o640, mtime: 9 });
  expect(lstatAt(dirFd, 'f\udcff')).toMatchObject({ mtime: 9 });
});

test('errors carry code, call and path; a NUL is refused', () => {
  expect(() => utimens(join(dir, 'none'), 0, 0)).toThrow(/ENOENT.*utimensat.*none/);
  try {
    mknod(dir, { type: 'fifo', mode: 0o600 });
    expect.unreachable();
  } catch (error) {
    expect(errnoOf(error)).toBe('EEXIST');
  }
  expect(() => utimens(`${dir}/a\0b`, 0, 0)).toThrow(BuildError);
});
