import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readXattr, readXattrs, removeXattr, writeXattr } from './xattr.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-xattr-'));
const file = join(dir, 'file');
writeFileSync(file, '');
symlinkSync('file', join(dir, 'link'));
afterAll(() => rmSync(dir, { recursive: true }));

/** cap_net_raw+ep, revision 2 (linux/capability.h). */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

test('written, listed in order, read, removed; by path and by descriptor', () => {
  const fd = openSync(file, 'r+');
  try {
    writeXattr(file, 'user.b', Buffer.from([0, 1, 255]));
    writeXattr(fd, 'user.a', Buffer.alloc(0));
    writeXattr(file, 'security.capability', CAPABILITY);
    for (const target of [file, fd]) {
      expect([...readXattrs(target)]).toEqual([
        ['security.capability', new Uint8Array(CAPABILITY)],
        ['user.a', new Uint8Array(0)],
        ['user.b', Uint8Array.of(0, 1, 255)],
      ]);
      expect([...readXattrs(target, (name) => name.startsWith('user.')).keys()]).toEqual(['user.a', 'user.b']);
    }
    removeXattr(file, 'user.a');
    removeXattr(fd, 'user.a');
    expect(readXattr(file, 'user.a')).toBeUndefined();
  } finally {
    closeSync(fd);
  }
});

test('values read earlier stay what they were', () => {
  writeXattr(file, 'user.one', Buffer.from('one'));
  const one = readXattr(file, 'user.one');
  writeXattr(file, 'user.two', Buffer.from('two'));
  readXattr(file, 'user.two');
  expect(Buffer.from(one ?? []).toString()).toBe('one');
});

test('a link has its own attributes', () => {
  writeXattr(join(dir, 'link'), 'trusted.own', Buffer.from('x'));
  expect([...readXattrs(join(dir, 'link')).keys()]).toEqual(['trusted.own']);
  expect(readXattr(file, 'trusted.own')).toBeUndefined();
});

test('none, and a file system without them', () => {
  expect(readXattrs(dir).size).toBe(0);
  expect(readXattrs('/proc/self/status').size).toBe(0);
  expect(() => readXattrs(join(dir, 'none'))).toThrow(/ENOENT/);
});
