import type { NodeEntry } from '../../contracts/index.ts';
import { STAT, STAT_WIDTH, typeOf } from '../../sys/stat.ts';
import { compareNames } from './names.ts';

/**
 * Visible files and directories as they were when they were first looked at: one build sees one state of each. Numbers
 * only, as there may be a million; entries are made of them when somebody asks.
 */
export interface Directory {
  /** Sorted bytewise. */
  readonly names: readonly string[];
  /** As `lstatInto` writes them. */
  readonly stats: Float64Array<ArrayBuffer>;
  /** Where in `stats` each name's numbers begin. */
  readonly rows: Uint32Array;
  /** Of the stat cache, plus one, by name; 0 = nobody has asked. */
  readonly records: Uint32Array;
  /** By name: entries that say more than numbers do. */
  readonly made: Map<number, NodeEntry>;
}

/** A name in a directory. */
export interface Place {
  readonly directory: Directory;
  readonly index: number;
}

export function directoryOf(names: readonly string[], stats: Float64Array<ArrayBuffer>, rows: Uint32Array): Directory {
  return { names, stats, rows, records: new Uint32Array(rows.length), made: new Map<number, NodeEntry>() };
}

/** What was seen of `place` is what its directory has. */
export function takePlace({ directory: old, index }: Place, directory: Directory, at: number, from: number): void {
  const begin = old.rows[index] ?? 0;
  directory.stats.set(old.stats.subarray(begin, begin + STAT_WIDTH), from);
  directory.records[at] = old.records[index] ?? 0;
  const entry = old.made.get(index);
  if (entry !== undefined) directory.made.set(at, entry);
}

export function typeAt({ stats, rows }: Directory, index: number): NodeEntry['type'] {
  return typeOf(stats[rows[index] ?? 0] ?? 0);
}

export function isDirectoryStat(stats: Float64Array | undefined): boolean {
  return stats !== undefined && typeOf(stats[STAT.mode] ?? 0) === 'directory';
}

/** Device and inode, for regular files with several names. */
export function linkAt({ stats, rows }: Directory, index: number): string | undefined {
  const from = rows[index] ?? 0;
  if ((stats[from + STAT.nlink] ?? 0) <= 1 || typeOf(stats[from] ?? 0) !== 'file') return undefined;
  const inode = new BigUint64Array(stats.buffer, (from + STAT.ino) * 8, 1)[0] ?? 0n;
  return `${stats[from + STAT.dev] ?? 0}:${inode}`;
}

export function indexOfName(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = names[middle] ?? '';
    if (found === name) return middle;
    if (compareNames(found, name) < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
