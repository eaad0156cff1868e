import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { STAT, STAT_WIDTH } from '../../sys/stat.ts';
import type { ExactStat } from '../../sys/stat.ts';
import { createStatCache } from './stat-cache.ts';
import type { StatCache } from './stat-cache.ts';

const LATER = 2_000_000_000_000;

function statOf(changes: Partial<ExactStat> = {}): ExactStat {
  return {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 10,
    nlink: 1,
    dev: 5,
    ino: 0x1_0000_0007n,
    major: 0,
    minor: 0,
    mtime: 1_700_000_000,
    mtimeNsec: 123_456_789,
    ctime: 1_700_000_001,
    ctimeNsec: 987_654_321,
    ...changes,
  };
}

/** As `lstatInto` writes them. */
function columnsOf(stat: ExactStat): Float64Array<ArrayBuffer> {
  const columns = new Float64Array(STAT_WIDTH);
  for (const field of ['size', 'dev', 'mtime', 'mtimeNsec', 'ctime', 'ctimeNsec', 'nlink', 'uid', 'mode'] as const) {
    columns[STAT[field]] = stat[field];
  }
  new BigUint64Array(columns.buffer)[STAT.ino] = stat.ino;
  return columns;
}

const sha = (text: string): Buffer => createHash('sha256').update(text).digest();
const digest = (text: string): string => `sha256:${sha(text).toString('hex')}`;

function recordOf(cache: StatCache, stat: ExactStat): number {
  return cache.record(columnsOf(stat), 0);
}

function bytesOf(cache: StatCache): Uint8Array {
  return Buffer.concat(cache.encode());
}

function cacheWith(stat: ExactStat, asOf = LATER): Uint8Array {
  const cache = createStatCache();
  cache.setDigest(recordOf(cache, stat), sha('a'), asOf);
  return bytesOf(cache);
}

describe('a record', () => {
  it('comes back while nothing about the file changed', () => {
    const cache = createStatCache(cacheWith(statOf()));
    expect(cache.digest(recordOf(cache, statOf()))).toBe(digest('a'));
    // Neither matters to the content.
    expect(cache.digest(recordOf(cache, statOf({ mode: 0o600, uid: 7, nlink: 3 })))).toBe(digest('a'));
    expect(cache.changed).toBe(false);
  });

  it.each<Partial<ExactStat>>([
    { size: 11 },
    { mtimeNsec: 123_456_790 },
    { mtime: 1_700_000_001 },
    { ctimeNsec: 987_654_322 },
    { ctime: 1_700_000_002 },
    { ino: 0x2_0000_0007n },
    { ino: 0x1_0000_0008n },
    { dev: 6 },
  ])('does not count for the change %#', (change) => {
    const cache = createStatCache(cacheWith(statOf()));
    expect(cache.digest(recordOf(cache, statOf(change)))).toBeUndefined();
  });

  it('stays what it is for those who have it, when its file changes meanwhile', () => {
    const cache = createStatCache(cacheWith(statOf()));
    const first = recordOf(cache, statOf());
    const second = recordOf(cache, statOf({ size: 11 }));
    expect([cache.digest(first), cache.digest(second)]).toEqual([digest('a'), undefined]);
    cache.setDigest(second, sha('b'), LATER);
    expect([cache.digest(first), cache.digest(second)]).toEqual([digest('a'), digest('b')]);
    const next = createStatCache(bytesOf(cache));
    expect(next.digest(recordOf(next, statOf({ size: 11 })))).toBe(digest('b'));
    expect(next.digest(recordOf(next, statOf()))).toBeUndefined();
  });

  it('is replaced by the next state of its file', () => {
    const cache = createStatCache(cacheWith(statOf()));
    const changed = statOf({ size: 11 });
    cache.setDigest(recordOf(cache, changed), sha('b'), LATER);
    const next = createStatCache(bytesOf(cache));
    expect(next.digest(recordOf(next, changed))).toBe(digest('b'));
    expect(next.digest(recordOf(next, statOf()))).toBeUndefined();
  });
});

describe('a file that had just changed when it was read', () => {
  const ctime = 1_700_000_001_987.654;
  it.each([
    ['at the same moment', ctime, undefined],
    ['a tick before', ctime + 20, undefined],
    ['from the future', ctime - 10_000, undefined],
    ['well before', ctime + 100, digest('a')],
  ])('%s', (_, asOf, expected) => {
    const cache = createStatCache(cacheWith(statOf(), asOf));
    expect(cache.digest(recordOf(cache, statOf()))).toBe(expected);
  });

  it('on a file system of whole seconds is trusted later', () => {
    const coarse = statOf({ ctimeNsec: 0 });
    const seen = (asOf: number): string | undefined => {
      const cache = createStatCache(cacheWith(coarse, asOf));
      return cache.digest(recordOf(cache, coarse));
    };
    expect(seen(1_700_000_002_500)).toBeUndefined();
    expect(seen(1_700_000_004_000)).toBe(digest('a'));
  });

  it('is known to the process that read it all the same', () => {
    const cache = createStatCache();
    const record = recordOf(cache, statOf());
    cache.setDigest(record, sha('a'), ctime);
    expect(cache.digest(recordOf(cache, statOf()))).toBe(digest('a'));
  });
});

it('keeps many records, and what is known of each', () => {
  const cache = createStatCache();
  for (let i = 0; i < 20_000; i++) {
    const record = recordOf(cache, statOf({ ino: BigInt(i) * 4096n + (BigInt(i % 3) << 40n) }));
    if (i % 2 === 0) cache.setDigest(record, sha(String(i)), LATER);
    if (i % 3 === 0) cache.setPlain(record, LATER);
  }
  const next = createStatCache(bytesOf(cache));
  for (let i = 0; i < 20_000; i++) {
    const record = recordOf(next, statOf({ ino: BigInt(i) * 4096n + (BigInt(i % 3) << 40n) }));
    expect(next.digest(record)).toBe(i % 2 === 0 ? digest(String(i)) : undefined);
    expect(next.isPlain(record)).toBe(i % 3 === 0);
  }
  expect(next.changed).toBe(false);
});

it('forgets what no build has used for long', () => {
  let bytes = cacheWith(statOf());
  for (let build = 0; build < 20; build++) {
    const cache = createStatCache(bytes);
    cache.setDigest(recordOf(cache, statOf({ ino: 99n })), sha('b'), LATER);
    bytes = bytesOf(cache);
  }
  const cache = createStatCache(bytes);
  expect(cache.digest(recordOf(cache, statOf()))).toBeUndefined();
  expect(cache.digest(recordOf(cache, statOf({ ino: 99n })))).toBe(digest('b'));
});

it.each<readonly [string, (bytes: Uint8Array) => Uint8Array]>([
  ['nothing', () => new Uint8Array(0)],
  ['a part', (bytes) => bytes.subarray(0, bytes.length - 1)],
  ['a flipped bit', (bytes) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte))],
  ['another format', (bytes) => bytes.map((byte, i) => (i === 4 ? byte + 1 : byte))],
  ['noise', () => new Uint8Array(120).fill(7)],
])('takes %s for an empty cache', (_, damage) => {
  const cache = createStatCache(damage(cacheWith(statOf())));
  expect(cache.digest(recordOf(cache, statOf()))).toBeUndefined();
});
