import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { errnoOf } from './errno.ts';
import { openConfined, type ConfinedRoot } from './confined.ts';
import { lstat } from './stat.ts';
import { readXattr, writeXattr } from './xattr.ts';

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

test('this kernel has openat2', () => {
  const root = openConfined(tmpdir());
  expect(root.method).toBe('openat2');
  root.close();
});

describe.each(['openat2', 'walk'] as const)('below a root, by %s', (method) => {
  let base = '';
  let inside = '';
  let root: ConfinedRoot;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'slipway-confined-'));
    inside = join(base, 'root');
    mkdirSync(join(inside, 'dir/sub'), { recursive: true });
    mkdirSync(join(base, 'outside'));
    writeFileSync(join(base, 'outside/secret'), 'secret');
    writeFileSync(join(inside, 'dir/file'), 'inside');
    symlinkSync('../outside', join(inside, 'up'));
    symlinkSync(join(base, 'outside'), join(inside, 'abs'));
    symlinkSync('dir', join(inside, 'in'));
    symlinkSync('/dir/file', join(inside, 'rooted'));
    symlinkSync('loop', join(inside, 'loop'));
    root = openConfined(inside, method);
  });
  afterEach(() => {
    root.close();
    expect(readdirSync(join(base, 'outside'))).toEqual(['secret']);
    expect(readFileSync(join(base, 'outside/secret'), 'utf8')).toBe('secret');
    rmSync(base, { recursive: true });
  });

  test.each([
    ['..'],
    ['../outside/secret'],
    ['dir/../../outside/secret'],
    ['dir/..'],
    ['/etc/passwd'],
    ['dir//file'],
    ['dir/./file'],
    ['dir/'],
    ['a\0b'],
    ['up/secret'],
    ['abs/secret'],
    ['in/file'],
    ['rooted'],
    ['loop'],
  ])('%j is refused by every call', (path) => {
    const calls: (() => unknown)[] = [
      () => closeSync(root.open(path, constants.O_RDONLY)),
      () => root.mkdir(`${path}/x`, 0o755),
      () => root.symlink('t', `${path}/x`),
      () => root.link('dir/file', `${path}/x`),
      () => root.rename('dir/file', `${path}/x`),
      () => root.unlink(`${path}/x`),
      () => root.mknod(`${path}/x`, { type: 'fifo', mode: 0o600 }),
      () => root.utimens(`${path}/x`, 1, 1),
      () => root.chown(`${path}/x`, 1, 1),
      () => root.chmod(path, 0o777),
      () => closeSync(root.open(`${path}/x`, CREATE, 0o600)),
    ];
    for (const call of calls) {
      let thrown: unknown;
      try {
        call();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(BuildError);
      expect(['hostile', 'host']).toContain((thrown as BuildError).code);
    }
  });

  test('magic links lead nowhere', () => {
    rmSync(join(inside, 'dir/sub'), { recursive: true });
    symlinkSync(`/proc/self/fd/${root.fd}/../outside/secret`, join(inside, 'magic'));
    expect(() => root.openInRoot('magic', constants.O_RDONLY)).toThrow(BuildError);
    expect(() => root.open('magic', constants.O_RDONLY)).toThrow(BuildError);
  });

  test('openInRoot follows links as a process inside would', () => {
    for (const path of [
      'dir/file',
      'in/file',
      'rooted',
      '/dir/file',
      '../../dir/file',
      'in/../dir/./file',
      'in/sub/../file',
    ]) {
      const fd = root.openInRoot(path, constants.O_RDONLY);
      expect(readFileSync(fd, 'utf8')).toBe('inside');
      closeSync(fd);
    }
    for (const path of ['up/secret', 'abs/secret', 'loop', 'none']) {
      expect(() => root.openInRoot(path, constants.O_RDONLY)).toThrow(BuildError);
    }
    const fd = root.openInRoot('in/new', CREATE, 0o640);
    writeSync(fd, 'made');
    closeSync(fd);
    expect(readFileSync(join(inside, 'dir/new'), 'utf8')).toBe('made');
  });

  test('makes, changes and removes every kind of entry', () => {
    root.mkdir('made', 0o700);
    root.mkdir('made/deep', 0o755);
    const fd = root.open('made/deep/f', CREATE, 0o600);
    writeSync(fd, 'content');
    closeSync(fd);
    root.chmod('made/deep/f', 0o4755);
    root.utimens('made/deep/f', 7, 8);
    root.link('made/deep/f', 'made/hard');
    root.symlink('../../../etc/passwd', 'made/soft');
    root.chown('made/soft', 5, 6);
    root.utimens('made/soft', 9, 10);
    root.mknod('made/null', { type: 'char-device', mode: 0o666, major: 1, minor: 3 });
    writeXattr(root.noFollowPath('made/deep/f'), 'user.x', Buffer.from('v'));
    expect(root.lstat('made/deep/f')).toMatchObject({ type: 'file', mode: 0o4755, mtime: 7, mtimeNsec: 8, nlink: 2 });
    expect(root.lstat('made/soft')).toMatchObject({ type: 'symlink', uid: 5, gid: 6, mtime: 9 });
    expect(root.readlink('made/soft')).toBe('../../../etc/passwd');
    expect(root.lstat('made/null')).toMatchObject({ type: 'char-device', major: 1, minor: 3 });
    expect(Buffer.from(readXattr(join(inside, 'made/hard'), 'user.x') ?? []).toString()).toBe('v');
    expect(() => root.chmod('made/soft', 0o777)).toThrow(BuildError);
    root.rename('made/deep', 'moved');
    expect(root.lstat('made/deep')).toBeUndefined();
    expect(root.lstat('made/deep/f')).toBeUndefined();
    expect(root.lstat('none/at/all')).toBeUndefined();
    expect(root.lstat('moved/f')).toMatchObject({ type: 'file' });
    root.unlink('moved/f');
    root.rmdir('moved');
    expect(existsSync(join(inside, 'moved'))).toBe(false);
    root.chmod('', 0o711);
    root.utimens('', 3, 4);
    expect(lstat(inside)).toMatchObject({ mode: 0o711, mtime: 3, mtimeNsec: 4 });
    expect(root.lstat('')).toMatchObject({ type: 'directory' });
  });

  test('a directory that was removed and made again is not confused with the old one', () => {
    root.mkdir('d', 0o755);
    root.mkdir('d/x', 0o755);
    root.rmdir('d/x');
    root.rmdir('d');
    root.symlink('dir', 'd');
    expect(() => root.mkdir('d/x', 0o755)).toThrow(/symbolic link/);
    expect(existsSync(join(inside, 'dir/x'))).toBe(false);
  });

  test('more directories than are kept open', () => {
    for (let i = 0; i < 40; i++) root.mkdir(`many-${i}`, 0o755);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 40; i++) closeSync(root.open(`many-${i}/f${round}`, CREATE, 0o600));
    }
    for (let i = 0; i < 40; i++) root.link(`many-${i}/f0`, `many-${(i + 20) % 40}/other`);
    expect(readdirSync(join(inside, 'many-7')).sort()).toEqual(['f0', 'f1', 'other']);
  });

  test('existing names are reported with their errno', () => {
    try {
      root.mkdir('dir', 0o755);
      expect.unreachable();
    } catch (error) {
      expect(errnoOf(error)).toBe('EEXIST');
    }
  });

  test('CVE-2018-15664: a directory that turns into a link while we work leads nowhere', async () => {
    // A thread exchanges `race` (a directory) and a link to the outside as fast as it can.
    const swapper = new Worker(
      `const { renameSync, symlinkSync, mkdirSync } = require('node:fs');
       const { workerData, parentPort } = require('node:worker_threads');
       const { base, inside } = workerData;
       symlinkSync(base + '/outside', inside + '/race-link');
       mkdirSync(inside + '/race');
       parentPort.postMessage('ready');
       for (;;) {
         renameSync(inside + '/race', inside + '/race-dir');
         renameSync(inside + '/race-link', inside + '/race');
         renameSync(inside + '/race', inside + '/race-link');
         renameSync(inside + '/race-dir', inside + '/race');
       }`,
      { eval: true, workerData: { base, inside } },
    );
    await new Promise((resolve) => swapper.once('message', resolve));
    let made = 0;
    let refused = 0;
    for (let i = 0; i < 3000; i++) {
      root.forget();
      try {
        closeSync(root.open(`race/f${i}`, CREATE, 0o600));
        made++;
      } catch (error) {
        expect(error).toBeInstanceOf(BuildError);
        refused++;
      }
    }
    await swapper.terminate();
    expect(made + refused).toBe(3000);
  });
});
