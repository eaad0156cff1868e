/**
 * What a copy reads: its sources found in the input's tree, wildcards expanded, patterns applied, nothing written yet.
 * Keys are made from it and layers too, so that both see the same files (tonistiigi/fsutil copy.go).
 */
import type { Digest, FileEntry, FileTree, NodeEntry, Survey, TreePath } from '../../contracts/index.ts';
import type { CopyAction } from '../../llb/index.ts';
import { compilePatterns } from '../../pattern/index.ts';
import type { PatternMatcher } from '../../pattern/index.ts';
import { TreeTable } from '../../store/index.ts';
import type { CopySource } from './missing.ts';
import { cleanPath, resolvePath, treePath } from './path.ts';
import { expandWildcards } from './wildcard.ts';

/** One entry that is copied. */
export interface SelectedRow {
  /** Below the source; `''` = the source itself. */
  readonly name: string;
  /** In the input's tree. */
  readonly path: TreePath;
  readonly entry: NodeEntry;
  /** A directory that no include pattern names, made because something in it is copied. */
  readonly held: boolean;
}

/** One source of a copy: a path as named, or one that a wildcard matched. */
export interface SelectedSource {
  /** Absolute, as named: its last name is the copy's in a directory. */
  readonly named: string;
  /** Of what is there, links followed. The first row; its name is `''`. */
  readonly top: SelectedRow;
  /** Below `top`, parents before children, in tree order; made anew for each who goes through them, as there may be a million. */
  readonly rows: Iterable<SelectedRow>;
  /** The same, without links, where the tree has it in this form. */
  readonly table: TreeTable | undefined;
  /** How many. */
  readonly count: number;
  /** Files with several names among `top` and `rows`, each by its first name; see {@link linkGroup}. */
  readonly linked: ReadonlySet<TreePath>;
}

export interface Selection {
  readonly tree: FileTree;
  readonly sources: readonly SelectedSource[];
  /**
   * Content digests of the regular files that are copied and whose entries do not say them, by path in the input's tree;
   * hashed at the first call.
   */
  digests(): Promise<ReadonlyMap<TreePath, Digest>>;
}

/** @throws BuildError `source-missing`; `dockerfile` for a malformed pattern. */
export async function selectSources(source: CopySource, action: CopyAction): Promise<Selection> {
  const { tree } = source;
  const missing = async (path: string, at: TreePath): Promise<Error> => {
    const { sourceMissing } = await import('./missing.ts');
    return sourceMissing(source, path, at);
  };
  const named = action.allowWildcard
    ? await expandWildcards(tree, action.src, action.followSymlink)
    : [cleanPath(action.src)];
  if (named === undefined || (named.length === 0 && !action.allowEmptyWildcard)) {
    throw await missing(cleanPath(action.src), cleanPath(action.src).slice(1));
  }
  const filter = patternFilter(action);
  const sources: SelectedSource[] = [];
  const unknowns: (readonly TreePath[])[] = [];
  for (const path of named) {
    const found = await resolvePath(tree, path, action.followSymlink);
    if (found.entry === undefined) throw await missing(path, found.path);
    const top: SelectedRow = { name: '', path: found.path, entry: found.entry, held: false };
    const isDirectory = found.entry.type === 'directory';
    const subtree = isDirectory && filter === undefined ? await tree.subtree?.(found.path) : undefined;
    const rows = isDirectory ? await rowsBelow(tree, found.path, filter) : [];
    const survey = await surveyOf(tree, top, rows, filter);
    unknowns.push(survey.unknown);
    const table = subtree === undefined ? undefined : TreeTable.of(subtree);
    sources.push({ named: path, top, rows, table, count: survey.count, linked: survey.linked });
  }
  for (const path of action.requiredPaths.map(cleanPath)) {
    if (!sources.some((selected) => takes(selected, path))) throw await missing(path, treePath(path));
  }
  let known: Promise<ReadonlyMap<TreePath, Digest>> | undefined;
  const digests = async (): Promise<ReadonlyMap<TreePath, Digest>> => {
    const tops = sources.map(({ top }) => top);
    return (known ??= digestsOf(tree, tops, unknowns.flat()));
  };
  return { tree, sources, digests };
}

/** All that there is at a path and below it. */
export interface Whole extends Pick<SelectedSource, 'rows' | 'count' | 'linked'> {
  readonly digests: ReadonlyMap<TreePath, Digest>;
}

/** @param entry What is at `path`. */
export async function selectWhole(tree: FileTree, path: TreePath, entry: NodeEntry): Promise<Whole> {
  const top: SelectedRow = { name: '', path, entry, held: false };
  const below = entry.type === 'directory' ? await rowsBelow(tree, path) : [];
  const { count, linked, unknown } = await surveyOf(tree, top, below);
  const rows = {
    *[Symbol.iterator]() {
      yield top;
      yield* below;
    },
  };
  return { rows, count: count + 1, linked, digests: await digestsOf(tree, [top], unknown) };
}

/** What must be known of all rows before the first is used; the top itself is not counted. */
async function surveyOf(
  tree: FileTree,
  top: SelectedRow,
  rows: Iterable<SelectedRow>,
  filter?: Filter,
): Promise<Survey> {
  const { entry, path } = top;
  const isAll = entry.type === 'directory' && filter === undefined;
  const { count, linked, unknown } = (isAll ? await tree.survey?.(path) : undefined) ?? surveyRows(rows);
  const isLink = entry.type === 'file' && entry.hardlink !== undefined;
  return { count, linked: isLink ? new Set([...linked, entry.hardlink]) : linked, unknown };
}

function surveyRows(rows: Iterable<SelectedRow>): Survey {
  const linked = new Set<TreePath>();
  const unknown: TreePath[] = [];
  let count = 0;
  for (const { path, entry } of rows) {
    count++;
    if (entry.type !== 'file') continue;
    if (entry.digest === undefined) unknown.push(path);
    if (entry.hardlink !== undefined) linked.add(entry.hardlink);
  }
  return { count, linked, unknown };
}

/** Whether the patterns let `path` through; that it is there is not enough (`--parents ./` takes nothing). */
function takes({ named, rows }: SelectedSource, path: string): boolean {
  const prefix = named === '/' ? '/' : `${named}/`;
  if (!path.startsWith(prefix)) return false;
  for (const { name } of rows) if (name === path.slice(prefix.length)) return true;
  return false;
}

/**
 * Of the files whose entries will not say their digests: those of the tops, which are made already, and of all where the
 * tree does not learn.
 */
async function digestsOf(
  tree: FileTree,
  tops: readonly SelectedRow[],
  below: readonly TreePath[],
): Promise<ReadonlyMap<TreePath, Digest>> {
  const paths = tops.flatMap(({ path, entry }) => (entry.type === 'file' && entry.digest === undefined ? [path] : []));
  if (tree.learn === undefined) for (const path of below) paths.push(path);
  else if (below.length > 0) await tree.learn(below);
  const found = paths.length === 0 ? [] : await tree.digests(paths);
  const digests = new Map<TreePath, Digest>();
  paths.forEach((path, i) => {
    const digest = found[i];
    if (digest !== undefined) digests.set(path, digest);
  });
  return digests;
}

/** The group of a hard-linked file: its first name, whether that is copied or not. */
export function linkGroup(path: TreePath, entry: FileEntry): TreePath {
  return entry.hardlink ?? path;
}

interface Filter {
  readonly include: PatternMatcher | undefined;
  readonly exclude: PatternMatcher | undefined;
}

function patternFilter(action: CopyAction): Filter | undefined {
  if (action.includePatterns.length === 0 && action.excludePatterns.length === 0) return undefined;
  // Not as in an ignore file, a pattern from the root matches nothing: paths here begin below the source.
  const exclude = action.excludePatterns.filter((pattern) => !/^\s*!?\s*\//.test(pattern));
  return {
    include: action.includePatterns.length > 0 ? compilePatterns(action.includePatterns, 'dockerfile') : undefined,
    exclude: exclude.length > 0 ? compilePatterns(exclude, 'dockerfile') : undefined,
  };
}

/** The rows below a directory. */
async function rowsBelow(tree: FileTree, path: TreePath, filter?: Filter): Promise<Iterable<SelectedRow>> {
  const from = path === '' ? 0 : path.length + 1;
  const walk = await tree.walk(path);
  return {
    [Symbol.iterator]: () => (filter === undefined ? plainRows(walk, from) : filteredRows(walk, from, filter)),
  };
}

function* plainRows(walk: Iterable<readonly [TreePath, NodeEntry]>, from: number): Generator<SelectedRow> {
  for (const [path, entry] of walk) yield { name: from === 0 ? path : path.slice(from), path, entry, held: false };
}

/** Rows that the patterns let through; a directory that only leads to some comes just before the first of them. */
function* filteredRows(
  walk: Iterable<readonly [TreePath, NodeEntry]>,
  from: number,
  { include, exclude }: Filter,
): Generator<SelectedRow> {
  /** Directories above the current path that have no row yet. */
  const held: SelectedRow[] = [];
  let skip: string | undefined;
  for (const [path, entry] of walk) {
    if (skip !== undefined && path.startsWith(skip)) continue;
    const name = path.slice(from);
    for (let last = held.at(-1); last !== undefined && !name.startsWith(`${last.name}/`); last = held.at(-1))
      held.pop();
    const excluded = exclude?.matches(name) ?? false;
    if (!excluded && (include?.matches(name) ?? true)) {
      yield* held;
      yield { name, path, entry, held: false };
      held.length = 0;
    } else if (entry.type === 'directory') {
      if (exclude?.prunes(name) ?? false) skip = `${path}/`;
      else held.push({ name, path, entry, held: true });
    }
  }
}
