import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, Digest, FileEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import type { PatternMatcher } from '../../pattern/index.ts';
import { errnoOf } from '../../sys/errno.ts';
import { giveBackMemory } from '../../sys/give-back.ts';
import { readNames } from '../../sys/path.ts';
import { lstatInto, majorOf, minorOf, STAT, STAT_WIDTH, typeOf } from '../../sys/stat.ts';
import { cancelled } from '../cancelled.ts';
import type { ContextTree, LocalContext } from '../types.ts';
import { explainMissing } from './explain.ts';
import { HASH_BYTES } from './hash-files.ts';
import type { FileHasher } from './hash-files.ts';
import type { Listing, Scan } from './scan.ts';
import type { ThreadPool } from './thread-pool.ts';
import { directoryOf, indexOfName, isDirectoryStat, linkAt, takePlace, typeAt } from './directory.ts';
import type { Directory, Place } from './directory.ts';
import { byBytes } from './names.ts';
import { contextError, readContextXattrs, readLink } from './read-entry.ts';
import type { StatCache } from './stat-cache.ts';

/** A {@link Survey} on its way. */
interface Found {
  count: number;
  readonly linked: Set<TreePath>;
  readonly unknown: TreePath[];
}

export interface ContextTreeOptions {
  readonly context: LocalContext;
  readonly matcher: PatternMatcher;
  /** Loaded at the first look at a file. */
  readonly loadStatCache: () => Promise<StatCache>;
  readonly hasher: FileHasher;
  /** Threads for a look at all of a directory; absent = it is looked at when it is asked for. */
  readonly pool?: ThreadPool | undefined;
  readonly signal: AbortSignal;
}

/**
 * The user's directory as BuildKit's file transfer would show it (fsutil): owner 0:0, times and modes as they are,
 * what the ignore file excludes invisible. Nothing is looked at before it is asked for, and links are
 * never followed.
 */
export function createContextTree(options: ContextTreeOptions): ContextTree {
  const { context, matcher, hasher, signal } = options;
  const base = context.directory === '/' ? '' : context.directory.replace(/\/+$/, '');
  /** What was looked up by itself: a directory of one name. */
  const places = new Map<TreePath, Place | undefined>();
  const directories = new Map<TreePath, Directory>();
  let statCache: StatCache | undefined;
  /** All that was seen by {@link ContextTree.look} and has not been asked for. */
  const looked: Scan[] = [];
  const looks = new Map<TreePath, ReturnType<ContextTree['look']>>();

  const hostOf = (path: TreePath): string => (path === '' ? base || '/' : `${base}/${path}`);

  async function ready(): Promise<StatCache> {
    return (statCache ??= await options.loadStatCache());
  }

  /** What is on disk, whether visible or not; parents are not looked at. */
  function statOf(path: TreePath): Float64Array<ArrayBuffer> | undefined {
    const stats = new Float64Array(STAT_WIDTH);
    try {
      return lstatInto(hostOf(path), stats, 0) ? stats : undefined;
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP') return undefined;
      throw contextError(error, hostOf(path));
    }
  }

  function placeOf(path: TreePath, cache: StatCache): Place | undefined {
    const known = places.get(path);
    if (known !== undefined || places.has(path)) return known;
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? '' : path.slice(0, slash);
    let place: Place | undefined;
    // A parent that is no directory, a link above all, has nothing below it.
    if (path === '' || isDirectory(parent, cache)) {
      const stats = statOf(path);
      if (stats !== undefined && isVisible(path, stats, cache)) {
        place = { directory: directoryOf([path.slice(slash + 1)], stats, Uint32Array.of(0)), index: 0 };
      }
    }
    places.set(path, place);
    return place;
  }

  /** Visible or not: below an excluded directory there may be files that are taken in again. */
  function isDirectory(path: TreePath, cache: StatCache): boolean {
    const place = placeOf(path, cache);
    if (place !== undefined) return typeAt(place.directory, place.index) === 'directory';
    if (path === '' || !matcher.hasNegations || !matcher.mayReinclude(path)) return false;
    const slash = path.lastIndexOf('/');
    if (!isDirectory(slash === -1 ? '' : path.slice(0, slash), cache)) return false;
    return isDirectoryStat(statOf(path));
  }

  function isVisible(path: TreePath, stats: Float64Array, cache: StatCache): boolean {
    if (!matcher.matches(path)) return true;
    // An excluded directory is there if something in it is (fsutil filter.go: parents of kept files are sent).
    return isDirectoryStat(stats) && matcher.mayReinclude(path) && scan(path, cache, true).names.length > 0;
  }

  function recordAt({ stats, rows, records }: Directory, index: number, cache: StatCache): number {
    const known = records[index] ?? 0;
    if (known !== 0) return known - 1;
    const record = cache.record(stats, rows[index] ?? 0);
    records[index] = record + 1;
    return record;
  }

  function entryAt(directory: Directory, index: number, path: TreePath, cache: StatCache): NodeEntry {
    const known = directory.made.get(index);
    const { stats, rows } = directory;
    const from = rows[index] ?? 0;
    const type = typeOf(stats[from] ?? 0);
    if (known !== undefined) {
      // A digest may have been found since.
      return known.type === 'file' ? { ...known, digest: cache.digest(recordAt(directory, index, cache)) } : known;
    }
    const record = recordAt(directory, index, cache);
    // The root is a directory of the builder's, not the user's: BuildKit's receiver makes it so.
    const mode = path === '' ? 0o755 : (stats[from] ?? 0) & 0o7777;
    const mtime = stats[from + STAT.mtime] ?? 0;
    const mtimeNsec = stats[from + STAT.mtimeNsec] ?? 0;
    const xattrs = xattrsOf(path, record, cache);
    const meta = { mode, uid: 0, gid: 0, mtime, mtimeNsec, xattrs };
    let entry: NodeEntry;
    switch (type) {
      case 'file': {
        const digest = cache.digest(record);
        const size = stats[from + STAT.size] ?? 0;
        entry = { type, mode, uid: 0, gid: 0, mtime, mtimeNsec, xattrs, size, digest, hardlink: undefined };
        if (xattrs === undefined) return entry;
        break;
      }
      case 'symlink':
        entry = { type, target: readLink(hostOf(path)), ...meta };
        break;
      case 'char-device':
      case 'block-device': {
        const device = stats[from + STAT.rdev] ?? 0;
        entry = { type, major: majorOf(device), minor: minorOf(device), ...meta };
        break;
      }
      case 'directory':
      case 'fifo':
      case 'socket':
        entry = { type, ...meta };
        break;
    }
    directory.made.set(index, entry);
    return entry;
  }

  function xattrsOf(path: TreePath, record: number, cache: StatCache): ReadonlyMap<string, Uint8Array> | undefined {
    if (cache.isPlain(record)) return undefined;
    const asOf = Date.now();
    const found = readContextXattrs(hostOf(path));
    if (path === '' || found.size === 0) {
      cache.setPlain(record, asOf);
      return undefined;
    }
    return found;
  }

  /** The visible entries of a directory that exists. `any`: one is enough. */
  function scan(path: TreePath, cache: StatCache, any = false): Directory {
    const known = directories.get(path);
    if (known !== undefined) return known;
    if (signal.aborted) throw cancelled(signal);
    const prefix = path === '' ? '' : `${path}/`;
    const listing = takeLooked(path) ?? listingOf(path);
    const names: string[] = [];
    const rows = new Uint32Array(listing.names.length);
    const directory = directoryOf(names, listing.stats, rows);
    for (const [i, name] of listing.names.entries()) {
      const child = prefix + name;
      const from = (listing.first + i) * STAT_WIDTH;
      const earlier = places.get(child);
      if (earlier === undefined) {
        if (places.has(child)) continue;
        const excluded = matcher.matches(child);
        if (excluded && !matcher.mayReinclude(child)) continue;
        if (!listing.isRead && !statInto(child, listing.stats, from)) continue;
        const isDirectory = typeOf(listing.stats[from] ?? 0) === 'directory';
        if (excluded && (!isDirectory || scan(child, cache, true).names.length === 0)) continue;
        // Directories are asked for again on the way to what they hold; files are found in their directory.
        if (isDirectory) places.set(child, { directory, index: names.length });
      } else {
        takePlace(earlier, directory, names.length, from);
        places.set(child, { directory, index: names.length });
      }
      rows[names.length] = from;
      names.push(name);
      if (any) return directory;
    }
    directories.set(path, directory);
    return directory;
  }

  /** Of a directory that nobody has looked at: its names are read, nothing else. */
  function listingOf(path: TreePath): Listing & { readonly isRead: boolean } {
    try {
      const names = byBytes(readNames(hostOf(path)));
      return { names, first: 0, stats: new Float64Array(names.length * STAT_WIDTH), isRead: false };
    } catch (error) {
      throw contextError(error, hostOf(path));
    }
  }

  function statInto(path: TreePath, stats: Float64Array<ArrayBuffer>, at: number): boolean {
    const found = statOf(path);
    if (found !== undefined) stats.set(found, at);
    return found !== undefined;
  }

  function takeLooked(path: TreePath): (Listing & { readonly isRead: boolean }) | undefined {
    let listed: Listing | undefined;
    for (const one of looked) listed = one.take(path) ?? listed;
    return listed === undefined ? undefined : { ...listed, isRead: true };
  }

  /** Where the last path was found: those who ask for many ask in tree order. */
  let last: { readonly prefix: string; readonly directory: Directory; index: number } | undefined;

  function find(path: TreePath, cache: StatCache): Place | undefined {
    const slash = path.lastIndexOf('/');
    const next = last === undefined ? undefined : last.directory.names[last.index + 1];
    if (last !== undefined && next !== undefined && slash + 1 === last.prefix.length && path === last.prefix + next) {
      return { directory: last.directory, index: ++last.index };
    }
    const directory = path === '' ? undefined : directories.get(slash === -1 ? '' : path.slice(0, slash));
    if (directory === undefined) return placeOf(path, cache);
    const index = indexOfName(directory.names, path.slice(slash + 1));
    last = { prefix: path.slice(0, slash + 1), directory, index: Math.max(index, 0) };
    return index === -1 ? undefined : { directory, index };
  }

  function entryOf(path: TreePath, cache: StatCache): NodeEntry | undefined {
    const place = find(path, cache);
    return place === undefined ? undefined : entryAt(place.directory, place.index, path, cache);
  }

  function hasDirectory(path: TreePath, cache: StatCache): boolean {
    const place = find(path, cache);
    return place !== undefined && typeAt(place.directory, place.index) === 'directory';
  }

  function* walkFrom(
    path: TreePath,
    cache: StatCache,
    enter: (path: TreePath) => boolean,
  ): Generator<readonly [TreePath, NodeEntry]> {
    const seen = new Map<string, TreePath>();
    const open = (at: TreePath): { directory: Directory; prefix: string; next: number } => ({
      directory: scan(at, cache),
      prefix: at === '' ? '' : `${at}/`,
      next: 0,
    });
    const stack = [open(path)];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const index = top.next++;
      const name = top.directory.names[index];
      if (name === undefined) {
        stack.pop();
        continue;
      }
      const child = top.prefix + name;
      const entry = entryAt(top.directory, index, child, cache);
      const link = linkAt(top.directory, index);
      // As fsutil: the first name met is the file, the others are links to it.
      const first = link === undefined ? undefined : seen.get(link);
      if (link !== undefined && first === undefined) seen.set(link, child);
      yield [child, first === undefined ? entry : { ...(entry as FileEntry), hardlink: first }];
      if (entry.type === 'directory' && enter(child)) stack.push(open(child));
    }
  }

  /** As a walk from there would find it, by numbers alone. */
  function surveyFrom(path: TreePath, cache: StatCache, seen: Map<string, TreePath>, found: Found): void {
    const directory = scan(path, cache);
    const prefix = path === '' ? '' : `${path}/`;
    found.count += directory.names.length;
    for (const [i, name] of directory.names.entries()) {
      const type = typeAt(directory, i);
      if (type === 'directory') surveyFrom(prefix + name, cache, seen, found);
      if (type !== 'file') continue;
      if (!cache.hasDigest(recordAt(directory, i, cache))) found.unknown.push(prefix + name);
      const link = linkAt(directory, i);
      if (link === undefined) continue;
      const first = seen.get(link);
      if (first === undefined) seen.set(link, prefix + name);
      else found.linked.add(first);
    }
  }

  function regularFile(path: TreePath, cache: StatCache): Place {
    const place = find(path, cache);
    if (place !== undefined && typeAt(place.directory, place.index) === 'file') return place;
    throw new BuildError({
      code: 'source-missing',
      message: `${path} is not a regular file in the build context ${context.directory}`,
    });
  }

  async function lookAt(path: TreePath): ReturnType<ContextTree['look']> {
    const { pool } = options;
    // What was asked for one by one may be older.
    if (pool === undefined || directories.size > 0) return undefined;
    if (path !== '' && !hasDirectory(path, await ready())) return undefined;
    const { scan: scanAll } = await import('./scan.ts');
    const patterns = matcher.patterns.map(({ pattern }) => pattern);
    let found: Scan;
    try {
      found = await scanAll(base || '/', path, patterns, pool, signal);
    } catch {
      if (signal.aborted) throw cancelled(signal);
      // Who needs the file that cannot be read will be told which it is.
      return undefined;
    }
    looked.push(found);
    return found;
  }

  async function hashFiles(paths: readonly TreePath[], cache: StatCache): Promise<void> {
    const missing: { readonly path: string; readonly size: number; readonly record: number }[] = [];
    for (const path of paths) {
      const { directory, index } = regularFile(path, cache);
      const record = recordAt(directory, index, cache);
      if (cache.hasDigest(record)) continue;
      const size = directory.stats[(directory.rows[index] ?? 0) + STAT.size] ?? 0;
      missing.push({ path: hostOf(path), size, record });
    }
    if (missing.length === 0) return;
    const asOf = Date.now();
    const hashes = await hasher.hash(missing, signal);
    for (const [n, { record }] of missing.entries()) {
      cache.setDigest(record, hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES), asOf);
    }
  }

  const tree: ContextTree & Required<Pick<ContextTree, 'learn'>> = {
    directory: context.directory,
    async lookup(path) {
      return entryOf(path, await ready());
    },
    async list(path) {
      const cache = await ready();
      return hasDirectory(path, cache) ? scan(path, cache).names : undefined;
    },
    async walk(path, enter = () => true) {
      const cache = await ready();
      if (!hasDirectory(path, cache)) return [];
      return { [Symbol.iterator]: () => walkFrom(path, cache, enter) };
    },
    async survey(path) {
      const cache = await ready();
      const found: Found = { count: 0, linked: new Set(), unknown: [] };
      if (hasDirectory(path, cache)) surveyFrom(path, cache, new Map(), found);
      return found;
    },
    async learn(paths) {
      const cache = await ready();
      let next = 0;
      // A part is asked for while the one before is hashed.
      const work = async (): Promise<void> => {
        while (next < paths.length) {
          const part = paths.slice(next, (next += HASHED_AT_ONCE));
          await hashFiles(part, cache);
        }
      };
      await Promise.all([work(), work()]);
      // Keys, trees and a tar of so many come next: nothing of that is done by these threads.
      if (paths.length > HASHED_AT_ONCE) options.pool?.rest();
      if (paths.length > GIVE_BACK_MIN) giveBackMemory();
    },
    async digests(paths) {
      const cache = await ready();
      await tree.learn(paths);
      const digests: Digest[] = [];
      for (const path of paths) {
        const { directory, index } = regularFile(path, cache);
        const digest = cache.digest(recordAt(directory, index, cache));
        if (digest !== undefined) digests.push(digest);
      }
      return digests;
    },
    async locate(paths) {
      const cache = await ready();
      return Iterator.from(paths).map((path): ContentLocation => {
        regularFile(path, cache);
        return { kind: 'context-file', path: hostOf(path) };
      });
    },
    look(path) {
      let look = looks.get(path);
      if (look === undefined) looks.set(path, (look = lookAt(path)));
      return look;
    },
    async explain(path) {
      return explainMissing(path, base, matcher, context);
    },
  };
  return tree;
}

/** Files that are handed to the hasher together: enough for all threads, few enough that their paths are soon gone. */
const HASHED_AT_ONCE = 8192;
/** So many files that what hashing them left behind counts beside what is still to come. */
const GIVE_BACK_MIN = 50_000;
