import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lstatInto, STAT_WIDTH } from '../../sys/stat.ts';
import { scan } from './scan.ts';
import type { Scan } from './scan.ts';
import { createThreadPool } from './thread-pool.ts';

/** More than one thread reads alone, so that others help. */
const FILES = 9000;

let directory: string;
const pool = createThreadPool();
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'scan-'));
  for (let i = 0; i < FILES; i++) {
    if (i % 100 === 0) mkdirSync(join(directory, `d${Math.floor(i / 1000)}/s${i}`), { recursive: true });
    writeFileSync(join(directory, `d${Math.floor(i / 1000)}/s${i - (i % 100)}/f${i}`), '');
  }
  mkdirSync(join(directory, 'left-out/deep'), { recursive: true });
  writeFileSync(join(directory, 'left-out/deep/file'), '');
  symlinkSync('nowhere', join(directory, 'link'));
});
afterAll(async () => {
  await pool.close();
  rmSync(directory, { recursive: true });
});

const look = (path = '', patterns: readonly string[] = ['left-out']) =>
  scan(directory, path, patterns, pool, new AbortController().signal);

function statOf(found: Scan, path: string, name: string): readonly number[] | undefined {
  const listing = found.take(path);
  if (listing === undefined) return undefined;
  const at = (listing.first + listing.names.indexOf(name)) * STAT_WIDTH;
  return [...listing.stats.subarray(at, at + STAT_WIDTH)];
}

function exactly(path: string): readonly number[] {
  const stats = new Float64Array(STAT_WIDTH);
  lstatInto(path, stats, 0);
  return [...stats];
}

describe('a look at a directory', () => {
  it('finds all that an ignore file leaves, on whatever thread, as lstat says', async () => {
    const found = await look();
    expect(found.entries).toBe(FILES + 90 + 9 + 1);
    expect(found.take('d3/s3100')?.names.length).toBe(100);
    expect(statOf(found, 'd3/s3200', 'f3250')).toEqual(exactly(join(directory, 'd3/s3200/f3250')));
    expect(statOf(found, '', 'link')).toEqual(exactly(join(directory, 'link')));
    expect(found.take('left-out')).toBeUndefined();
  });

  it('hands out a directory once', async () => {
    const found = await look('d1');
    expect(found.take('d1')?.names.length).toBe(10);
    expect(found.take('d1')).toBeUndefined();
  });

  it('is of one state, whatever was handed out', async () => {
    const [untouched, found] = [await look(), await look()];
    found.take('d1');
    found.take('d3');
    expect(found.state()).toBe(untouched.state());
  });

  it('is of the same state while nothing changes, of another when anything does', async () => {
    const before = (await look()).state();
    expect((await look()).state()).toBe(before);
    utimesSync(join(directory, 'd8/s8900/f8999'), 1, 1);
    const touched = (await look()).state();
    expect(touched).not.toBe(before);
    writeFileSync(join(directory, 'left-out/deep/file'), 'of no matter');
    expect((await look()).state()).toBe(touched);
    rmSync(join(directory, 'd0/s0/f0'));
    expect((await look()).state()).not.toBe(touched);
  });

  it('says until when a file may change unnoticed', async () => {
    writeFileSync(join(directory, 'fresh'), '');
    expect((await look()).unsettledUntil).toBeGreaterThan(Date.now() - 1000);
  });

  it('fails where a directory cannot be read', async () => {
    await expect(look('not-there')).rejects.toThrow('ENOENT');
  });
});
