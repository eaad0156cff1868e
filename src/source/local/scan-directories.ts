import { hash } from 'node:crypto';
import { compilePatterns } from '../../pattern/index.ts';
import type { PatternMatcher } from '../../pattern/index.ts';
import { readNames } from '../../sys/path.ts';
import { lstatInto, STAT, STAT_WIDTH } from '../../sys/stat.ts';
import type { ScanAnswer, ScanRequest, ScannedDirectory } from './scan.ts';

/** The matchers of the last contexts, compiled once a thread. */
let known: { readonly patterns: string; readonly matcher: PatternMatcher } | undefined;

/**
 * Reads directories and all below them, until about `limit` entries are seen; what is left is handed back.
 *
 * @throws Error the system's own, for a directory that cannot be read
 */
export function scanDirectories({ base, directories, patterns, limit }: ScanRequest): ScanAnswer {
  const text = JSON.stringify(patterns);
  if (known?.patterns !== text) known = { patterns: text, matcher: compilePatterns(patterns) };
  const { matcher } = known;
  const rest = [...directories];
  const scanned: ScannedDirectory[] = [];
  let stats = new Float64Array(STAT_WIDTH * 1024);
  let count = 0;
  let unsettledUntil = 0;
  while (count < limit) {
    const directory = rest.pop();
    if (directory === undefined) break;
    const host = directory === '' ? base : `${base === '/' ? '' : base}/${directory}`;
    const prefix = directory === '' ? '' : `${directory}/`;
    const names: string[] = [];
    const first = count;
    for (const name of readNames(host).sort()) {
      const path = prefix + name;
      const excluded = matcher.matches(path);
      if (excluded && !matcher.mayReinclude(path)) continue;
      if ((count + 1) * STAT_WIDTH > stats.length) stats = grown(stats);
      const at = count * STAT_WIDTH;
      if (!lstatInto(host === '/' ? `/${name}` : `${host}/${name}`, stats, at)) continue;
      names.push(name);
      count++;
      if (((stats[at] ?? 0) & 0o170000) === 0o040000) rest.push(path);
      unsettledUntil = Math.max(
        unsettledUntil,
        settledAt(stats[at + STAT.ctime] ?? 0, stats[at + STAT.ctimeNsec] ?? 0),
      );
    }
    const joined = names.join('\0');
    const bytes = new Uint8Array(stats.buffer, first * STAT_WIDTH * 8, (count - first) * STAT_WIDTH * 8);
    const digest = hash('sha256', Buffer.concat([Buffer.from(`${directory}\0${joined}\0`, 'utf16le'), bytes]));
    scanned.push({ path: directory, names: joined, first, count: count - first, digest });
  }
  return { directories: scanned, rest, stats: stats.slice(0, count * STAT_WIDTH), entries: count, unsettledUntil };
}

/** Kernels stamp times at timer ticks; file systems with whole seconds keep one, or two. Milliseconds. */
function settledAt(seconds: number, nanoseconds: number): number {
  return seconds * 1000 + nanoseconds / 1e6 + (nanoseconds === 0 ? 2500 : 50);
}

function grown(stats: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(stats.length * 2);
  larger.set(stats);
  return larger;
}
