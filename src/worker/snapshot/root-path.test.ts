import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConfined } from '../../sys/confined.ts';
import { resolveInRoot } from './root-path.ts';
import { scanUpper } from './scan.ts';
import { makeParentStubs, mountPoint, plannedStubs, removeStubs } from './stubs.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(`${tmpdir()}/slipway-root-path-`);
  mkdirSync(`${root}/a/b`, { recursive: true });
  writeFileSync(`${root}/a/file`, '');
  symlinkSync('/a', `${root}/abs`);
  symlinkSync('../../../../../../a/b', `${root}/up`);
  symlinkSync('gone/x', `${root}/dangling`);
  symlinkSync('loop', `${root}/loop`);
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('a path inside a root', () => {
  it.each([
    ['/a/b', 'a/b', 2],
    ['a//./b/', 'a/b', 2],
    ['/', '', 0],
    ['/../../a', 'a', 1],
    ['/abs/b', 'a/b', 2],
    ['/up/new', 'a/b/new', 2],
    ['/dangling/y', 'gone/x/y', 0],
    ['/a/none/deep', 'a/none/deep', 1],
    ['/a/none/../b', 'a/b', 2],
    ['/a/file/x', 'a/file/x', 2],
    ['/abs/../a/file', 'a/file', 2],
  ])('%s', (path, expected, existing) => {
    expect(resolveInRoot(root, path)).toEqual({ path: expected, existing });
  });

  it('gives up on links in a circle', () => {
    expect(() => resolveInRoot(root, '/loop/x')).toThrow(/too many symbolic links/);
  });
});

describe('stubs', () => {
  it('are what is missing, deepest first', () => {
    const stubs = plannedStubs(root, ['/a/b', '/a/n/m', '/dangling', '/a/n/o']);
    expect([...stubs].sort()).toEqual(['a/n', 'a/n/m', 'a/n/o', 'gone', 'gone/x']);
    for (const [index, path] of stubs.entries()) {
      expect(stubs.slice(0, index).some((earlier) => path.startsWith(`${earlier}/`))).toBe(false);
    }
  });

  it('are made behind links: that is where to mount', () => {
    const points = ['/a/b', '/a/n/m', '/dangling', '/dangling/y'].map((target) => mountPoint(root, target));
    expect(points).toEqual(['/a/b', '/a/n/m', '/gone/x', '/gone/x/y']);
  });

  it('that others are in are plain directories from the start', () => {
    const here = `${root}/parents`;
    mkdirSync(here);
    const confined = openConfined(here);
    makeParentStubs(confined, ['a/b/c', 'a/b', 'a', 'alone']);
    expect(confined.lstat('a/b')).toMatchObject({ type: 'directory', mode: 0o755 });
    confined.close();
    expect(readdirSync(here)).toEqual(['a']);
    expect(readdirSync(`${here}/a/b`)).toEqual([]);
  });

  it('are removed while they are empty, and nothing else', () => {
    const here = `${root}/removal`;
    mkdirSync(`${here}/empty/inner`, { recursive: true });
    mkdirSync(`${here}/full`);
    writeFileSync(`${here}/full/x`, '1');
    writeFileSync(`${here}/file`, '');
    writeFileSync(`${here}/written`, '1');
    symlinkSync('full', `${here}/link`);
    const confined = openConfined(here);
    removeStubs(confined, ['empty/inner', 'link/x', 'written', 'empty', 'full', 'file', 'link', 'missing/x']);
    confined.close();
    expect(readdirSync(here).sort()).toEqual(['full', 'link', 'written']);
  });
});

describe('a scan', () => {
  it('drops sockets, and gives up at its limit', async () => {
    const upper = `${root}/upper`;
    mkdirSync(upper);
    for (const name of ['x', 'y', 'z']) writeFileSync(`${upper}/${name}`, name);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${upper}/socket`, resolve));
    expect([...(scanUpper({ upper, lower: [] })?.tree.keys() ?? [])]).toEqual(['x', 'y', 'z']);
    expect(scanUpper({ upper, lower: [] }, 2)).toBeUndefined();
    server.close();
  });

  it('keeps names that are not UTF-8, in the order of their bytes', () => {
    const upper = `${root}/bytes`;
    mkdirSync(upper);
    for (const name of [[0xff, 0x61], [0x61], [0xc3, 0xa9], [0x62, 0x80]]) {
      writeFileSync(Buffer.concat([Buffer.from(`${upper}/`), Buffer.from(name)]), '');
    }
    expect([...(scanUpper({ upper, lower: [] })?.tree.keys() ?? [])]).toEqual(['a', 'b\udc80', 'é', '\udcffa']);
  });
});
