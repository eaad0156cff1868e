import { readlinkSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, Digest, FileEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import type { PatternMatcher } from '../../pattern/index.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { decodePath, encodePath, readNames } from '../../sys/path.ts';
import { lstat } from '../../sys/stat.ts';
import type { ExactStat } from '../../sys/stat.ts';
import { readXattrs } from '../../sys/xattr.ts';
import { cancelled } from '../cancelled.ts';
import type { ContextTree, LocalContext } from '../types.ts';
import { explainMissing } from './explain.ts';
import type { FileHasher } from './hash-files.ts';
import type { Scan } from './scan.ts';
import type { ThreadPool } from './thread-pool.ts';
import { byBytes, compareNames } from './names.ts';
import type { StatCache } from './stat-cache.ts';

/** A file or directory as it was when it was first looked at; one build sees one state of each. */
interface Item {
  readonly entry: NodeEntry;
  /** Of the stat cache. */
  readonly record: number;
  /** Device and inode, for regular files with several names. */
  readonly link: string | undefined;
}

interface Directory {
  /** Visible names, sorted bytewise. */
  readonly names: readonly string[];
  /** Parallel to `names`. */
  readonly items: readonly Item[];
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
  const items = new Map<TreePath, Item | undefined>();
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
  function statOf(path: TreePath): ExactStat | undefined {
    try {
      return lstat(hostOf(path));
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP') return undefined;
      throw contextError(error, hostOf(path));
    }
  }

  function itemOf(path: TreePath, cache: StatCache): Item | undefined {
    const known = items.get(path);
    if (known !== undefined || items.has(path)) return known;
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? '' : path.slice(0, slash);
    let item: Item | undefined;
    // A parent that is no directory, a link above all, has nothing below it.
    if (path === '' || isDirectory(parent, cache)) {
      const stat = statOf(path);
      if (stat !== undefined && isVisible(path, stat, cache)) item = makeItem(path, stat, cache);
    }
    items.set(path, item);
    return item;
  }

  /** Visible or not: below an excluded directory there may be files that are taken in again. */
  function isDirectory(path: TreePath, cache: StatCache): boolean {
    const item = itemOf(path, cache);
    if (item !== undefined) return item.entry.type === 'directory';
    if (path === '' || !matcher.hasNegations || !matcher.mayReinclude(path)) return false;
    const slash = path.lastIndexOf('/');
    return isDirectory(slash === -1 ? '' : path.slice(0, slash), cache) && statOf(path)?.type === 'directory';
  }

  function isVisible(path: TreePath, stat: ExactStat, cache: StatCache): boolean {
    if (!matcher.matches(path)) return true;
    // An excluded directory is there if something in it is (fsutil filter.go: parents of kept files are sent).
    return stat.type === 'directory' && matcher.mayReinclude(path) && scan(path, cache, true).names.length > 0;
  }

  function makeItem(path: TreePath, stat: ExactStat, cache: StatCache): Item {
    const record = cache.record(stat);
    const { mtime, mtimeNsec } = stat;
    // The root is a directory of the builder's, not the user's: BuildKit's receiver makes it so.
    const mode = path === '' ? 0o755 : stat.mode;
    const meta = { mode, uid: 0, gid: 0, mtime, mtimeNsec, xattrs: xattrsOf(path, record, cache) };
    return { entry: entryOf(path, stat, meta, cache.digest(record)), record, link: linkKey(stat) };
  }

  function entryOf(
    path: TreePath,
    stat: ExactStat,
    meta: Omit<FileEntry, 'type' | 'size'>,
    digest: Digest | undefined,
  ): NodeEntry {
    switch (stat.type) {
      case 'file': {
        const { mode, uid, gid, mtime, mtimeNsec, xattrs } = meta;
        return { type: 'file', mode, uid, gid, mtime, mtimeNsec, xattrs, size: stat.size, digest, hardlink: undefined };
      }
      case 'directory':
        return { type: 'directory', ...meta };
      case 'symlink':
        return { type: 'symlink', target: readLink(hostOf(path)), ...meta };
      case 'char-device':
      case 'block-device':
        return { type: stat.type, major: stat.major, minor: stat.minor, ...meta };
      case 'fifo':
      case 'socket':
        return { type: stat.type, ...meta };
    }
  }

  function xattrsOf(path: TreePath, record: number, cache: StatCache): ReadonlyMap<string, Uint8Array> | undefined {
    if (cache.isPlain(record)) return undefined;
    const asOf = Date.now();
    let found;
    try {
      found = readXattrs(hostOf(path), (name) => isKeptXattr(name) && name !== CAPABILITY);
    } catch (error) {
      throw contextError(error, hostOf(path));
    }
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
    const listed = takeLooked(path);
    let all: string[];
    try {
      all = byBytes(listed === undefined ? readNames(hostOf(path)) : [...listed.keys()]);
    } catch (error) {
      throw contextError(error, hostOf(path));
    }
    const prefix = path === '' ? '' : `${path}/`;
    const names: string[] = [];
    const found: Item[] = [];
    for (const name of all) {
      const child = prefix + name;
      let item = items.get(child);
      if (item === undefined) {
        if (items.has(child)) continue;
        const excluded = matcher.matches(child);
        if (excluded && !matcher.mayReinclude(child)) continue;
        const stat = listed === undefined ? statOf(child) : listed.get(name);
        if (stat === undefined) continue;
        if (excluded && (stat.type !== 'directory' || scan(child, cache, true).names.length === 0)) continue;
        item = makeItem(child, stat, cache);
        // Directories are asked for again on the way to what they hold; files are found in their directory.
        if (stat.type === 'directory') items.set(child, item);
      }
      names.push(name);
      found.push(item);
      if (any) return { names, items: found };
    }
    const directory = { names, items: found };
    directories.set(path, directory);
    return directory;
  }

  function takeLooked(path: TreePath): ReadonlyMap<string, ExactStat> | undefined {
    let listed: ReadonlyMap<string, ExactStat> | undefined;
    for (const one of looked) listed = one.take(path) ?? listed;
    return listed;
  }

  /** Where the last path was found: those who ask for many ask in tree order. */
  let last: { readonly prefix: string; readonly directory: Directory; index: number } | undefined;

  function find(path: TreePath, cache: StatCache): Item | undefined {
    const slash = path.lastIndexOf('/');
    const next = last === undefined ? undefined : last.directory.names[last.index + 1];
    if (last !== undefined && next !== undefined && slash + 1 === last.prefix.length && path === last.prefix + next) {
      return last.directory.items[++last.index];
    }
    const directory = path === '' ? undefined : directories.get(slash === -1 ? '' : path.slice(0, slash));
    if (directory === undefined) return itemOf(path, cache);
    const index = indexOfName(directory.names, path.slice(slash + 1));
    last = { prefix: path.slice(0, slash + 1), directory, index: Math.max(index, 0) };
    return index === -1 ? undefined : directory.items[index];
  }

  function* walkFrom(
    path: TreePath,
    cache: StatCache,
    seen: Map<string, TreePath>,
    enter: (path: TreePath) => boolean,
  ): Generator<readonly [TreePath, NodeEntry]> {
    const { names, items: found } = scan(path, cache);
    const prefix = path === '' ? '' : `${path}/`;
    for (const [i, name] of names.entries()) {
      const item = found[i];
      if (item === undefined) continue;
      const child = prefix + name;
      if (item.link === undefined) yield [child, item.entry];
      else {
        // As fsutil: the first name met is the file, the others are links to it.
        const first = seen.get(item.link);
        if (first === undefined) seen.set(item.link, child);
        yield [child, first === undefined ? item.entry : { ...(item.entry as FileEntry), hardlink: first }];
      }
      if (item.entry.type === 'directory' && enter(child)) yield* walkFrom(child, cache, seen, enter);
    }
  }

  function regularFiles(paths: readonly TreePath[], cache: StatCache): readonly (Item & { entry: FileEntry })[] {
    return paths.map((path) => {
      const item = find(path, cache);
      if (item?.entry.type === 'file') return item as Item & { entry: FileEntry };
      throw new BuildError({
        code: 'source-missing',
        message: `${path} is not a regular file in the build context ${context.directory}`,
      });
    });
  }

  async function lookAt(path: TreePath): ReturnType<ContextTree['look']> {
    const { pool } = options;
    // What was asked for one by one may be older.
    if (pool === undefined || directories.size > 0) return undefined;
    if (path !== '' && find(path, await ready())?.entry.type !== 'directory') return undefined;
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

  return {
    directory: context.directory,
    async lookup(path) {
      return find(path, await ready())?.entry;
    },
    async list(path) {
      const cache = await ready();
      return find(path, cache)?.entry.type === 'directory' ? scan(path, cache).names : undefined;
    },
    async walk(path, enter = () => true) {
      const cache = await ready();
      if (find(path, cache)?.entry.type !== 'directory') return [];
      return { [Symbol.iterator]: () => walkFrom(path, cache, new Map(), enter) };
    },
    async digests(paths) {
      const cache = await ready();
      const files = regularFiles(paths, cache);
      const asOf = Date.now();
      const missing: number[] = [];
      const digests = files.map(({ record, entry }, i): Digest | undefined => {
        const digest = entry.digest ?? cache.digest(record);
        if (digest === undefined) missing.push(i);
        return digest;
      });
      if (missing.length > 0) {
        const wanted = missing.map((i) => ({ path: hostOf(paths[i] ?? ''), size: files[i]?.entry.size ?? 0 }));
        const hashes = await hasher.hash(wanted, signal);
        for (const [n, i] of missing.entries()) {
          const [file, hash] = [files[i], hashes[n]];
          if (file === undefined || hash === undefined) continue;
          cache.setDigest(file.record, hash, asOf);
          const digest = cache.digest(file.record);
          digests[i] = digest;
          // From now on the entry says it: 100,000 of them need not be made again for that.
          (file.entry as { digest?: Digest | undefined }).digest = digest;
        }
      }
      return digests as Digest[];
    },
    async locate(paths) {
      const cache = await ready();
      regularFiles(paths, cache);
      return paths.map((path): ContentLocation => ({ kind: 'context-file', path: hostOf(path) }));
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
}

const CAPABILITY = 'security.capability';

/**
 * Attributes that belong in an image; those of the host's security modules and file systems do not. Of a directory on
 * this machine, capabilities do not either: BuildKit's receiver gives the file its owner last, which takes them away.
 */
export function isKeptXattr(name: string): boolean {
  return name.startsWith('user.') || name === CAPABILITY;
}

function linkKey(stat: ExactStat): string | undefined {
  return stat.type === 'file' && stat.nlink > 1 ? `${stat.dev}:${stat.ino}` : undefined;
}

function readLink(path: string): string {
  try {
    const target = readlinkSync(encodePath(path), 'utf8');
    return target.includes('\ufffd') ? decodePath(readlinkSync(encodePath(path), 'buffer')) : target;
  } catch (error) {
    throw contextError(error, path);
  }
}

function indexOfName(names: readonly string[], name: string): number {
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

function contextError(error: unknown, path: string): BuildError {
  const code = errnoOf(error);
  if (code === 'EACCES' || code === 'EPERM') {
    return new BuildError({
      code: 'permission',
      message: `${path} cannot be read: permission denied`,
      hint: 'make it readable, or exclude it in .dockerignore',
      cause: error,
    });
  }
  const cause = asBuildError(error);
  return new BuildError({ ...cause.toInit(), code: 'context', message: `${path} cannot be read: ${cause.message}` });
}
