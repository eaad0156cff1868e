import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { UsageItem } from '../../store/index.ts';
import { keepStorage, parseFilters, parseKeepStorage, parseProject, parseUntil } from './usage-words.ts';

const NOW = Date.parse('2026-02-01T00:00:00Z');
const HOUR = 3600 * 1000;

describe('sizes', () => {
  test.each([
    ['1000', 1000],
    ['10GB', 10 * 2 ** 30],
    ['1.5g', 1.5 * 2 ** 30],
    ['512MiB', 512 * 2 ** 20],
    ['4kb', 4096],
    ['1T', 2 ** 40],
    ['20%', 200],
    ['0', 0],
    ['unlimited', Number.POSITIVE_INFINITY],
  ])('%s', (text, bytes) => {
    expect(parseKeepStorage(text, 'x')(1000)).toBe(bytes);
  });

  test.each(['', '10 apples', '-1', '120%', '1e9', 'GB'])('%j is none', (text) => {
    expect(() => parseKeepStorage(text, 'SLIPWAY_KEEP_STORAGE')).toThrow(/SLIPWAY_KEEP_STORAGE is no size/);
  });

  test('the caller before the environment before the default', () => {
    expect(keepStorage('5', { SLIPWAY_KEEP_STORAGE: '6' })(1000)).toBe(5);
    expect(keepStorage(undefined, { SLIPWAY_KEEP_STORAGE: '6' })(1000)).toBe(6);
    expect(keepStorage(undefined, { SLIPWAY_KEEP_STORAGE: '' })(1000)).toBe(200);
    expect(keepStorage(undefined, {})(1000)).toBe(200);
  });
});

describe('times', () => {
  test.each([
    ['24h', NOW - 24 * HOUR],
    ['1h30m', NOW - 1.5 * HOUR],
    ['7d', NOW - 7 * 24 * HOUR],
    ['2w', NOW - 14 * 24 * HOUR],
    ['500ms', NOW - 500],
    ['2026-01-31', NOW - 24 * HOUR],
    ['2026-01-31T12:00:00Z', NOW - 12 * HOUR],
    ['1769904000', NOW],
  ])('%s', (text, time) => {
    expect(parseUntil(text, NOW)).toBe(time);
  });

  test.each(['', 'yesterday', '5x', '2026-99-99'])('%j is none', (text) => {
    expect(() => parseUntil(text, NOW)).toThrow(/is no time/);
  });
});

describe('filters', () => {
  const item = (more: Partial<UsageItem> = {}): UsageItem => ({
    type: 'step',
    id: 'r1-abcdef',
    description: '[2/3] RUN npm ci',
    size: 1,
    reclaimable: 1,
    created: 0,
    used: 0,
    project: '0123456789ab',
    inUse: false,
    shared: false,
    ...more,
  });

  test.each([
    [['type=step'], true],
    [['type=regular'], true],
    [['type==cache-mount'], false],
    [['type!=step'], false],
    [['type=context', 'type=step'], true],
    [['type!=context', 'type!=image'], true],
    [['id=abc'], true],
    [['id=r1-abc'], true],
    [['id=bcd'], false],
    [['description~=npm (ci|install)'], true],
    [['description=npm'], false],
    [['project=0123456789ab'], true],
    [['shared'], false],
    [['private'], true],
    [['inuse=false', 'type=step'], true],
    [['type=step', 'description~=yarn'], false],
  ] as const)('%j: %s', (words, expected) => {
    const filter = parseFilters(words, NOW);
    expect(filter?.chooses).toBe(true);
    expect(filter?.matches(item())).toBe(expected);
  });

  test('until is a time, and chooses nothing', () => {
    expect(parseFilters(['until=24h'], NOW)).toMatchObject({ chooses: false, unusedSince: NOW - 24 * HOUR });
    expect(parseFilters([], NOW)).toBeUndefined();
  });

  test.each(['', 'typ=step', 'type', 'description~=[', 'until', 'until=x'])('%j is none', (word) => {
    expect(() => parseFilters([word], NOW)).toThrow(/is no filter|is no time|no regular expression/);
  });
});

describe('projects', () => {
  const dir = mkdtempSync(join(tmpdir(), 'slipway-words-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  test('a directory by any of its names, or the id', () => {
    symlinkSync('.', join(dir, 'link'));
    const id = parseProject(dir, '/');
    expect(id).toMatch(/^[0-9a-f]{12}$/);
    expect(parseProject('link', dir)).toBe(id);
    expect(parseProject(id, '/')).toBe(id);
    expect(() => parseProject('nowhere', dir)).toThrow(/neither a directory nor the id/);
  });
});
