import { BuildError } from '../../contracts/index.ts';
import type {
  ContentLocation,
  Digest,
  DirectoryEntry,
  FileEntry,
  FileTree,
  NodeEntry,
  Tree,
  TreeEntry,
  TreePath,
} from '../../contracts/index.ts';
import { compareTreePaths, TreeTable } from '../../store/index.ts';
import type { RowChange } from '../../store/index.ts';
import { askOrigins, locateOrigins, noFile, OriginRules } from './origins.ts';
import type { Origin, Origins, Question } from './origins.ts';
import { joinPath, parentPath } from './path.ts';
import { sameEntry } from './same-entry.ts';

/** A finished layer: its own entries, and the origin of each regular file (of hard links: of the first name). */
export interface StagedLayer {
  readonly tree: Tree;
  readonly origins: Origins;
}

/**
 * A file system that is being changed: what is below, never written, and the entries of the layer that grows on it.
 * It reads as the merged result, so that later actions see what earlier ones made. No directory is ever made for it.
 */
export class StagedTree implements FileTree {
  readonly #base: FileTree;
  readonly #isExact: boolean;
  /** Marked with where the bytes come from. */
  readonly #entries = new TreeTable();
  readonly #rules = new OriginRules();
  /** Staged directories in which nothing of the base shows. */
  readonly #fresh = new Set<TreePath>();
  /** First name to the other names of staged hard links. */
  readonly #links = new Map<TreePath, Set<TreePath>>();
  /** Names by directory; built when somebody first lists. */
  #children: Map<TreePath, Set<string>> | undefined;
  /** Staged files that equal the base's in all but, perhaps, content. */
  readonly #maybeSame = new Map<TreePath, Digest>();

  /** @param isExact A file that the base has but for its time is written again, as BuildKit does. */
  constructor(base: FileTree, isExact = false) {
    this.#base = base;
    this.#isExact = isExact;
  }

  /** True when nothing below `directory` can come from the base; then `lookup` need not be asked about new names. */
  isFresh(directory: TreePath): boolean {
    return this.#fresh.has(directory);
  }

  /** What is staged at `path`: all there is in a fresh directory. */
  peek(path: TreePath): NodeEntry | undefined {
    const staged = this.#entries.get(path);
    return staged === undefined || staged.type === 'whiteout' ? undefined : staged;
  }

  async lookup(path: TreePath): Promise<NodeEntry | undefined> {
    if (this.#entries.has(path)) return this.peek(path);
    if (this.#hidden(path)) return undefined;
    return this.#base.lookup(path);
  }

  /** Whether the base's `path` is covered by something staged above it. */
  #hidden(path: TreePath): boolean {
    for (let at = path; at !== '';) {
      at = parentPath(at);
      if (this.#fresh.has(at)) return true;
      const entry = this.#entries.get(at);
      if (entry !== undefined && entry.type !== 'directory') return true;
    }
    return false;
  }

  async list(path: TreePath): Promise<readonly string[] | undefined> {
    const entry = this.#entries.get(path);
    if (entry !== undefined && entry.type !== 'directory') return undefined;
    const below = this.#fresh.has(path) || this.#hidden(path) ? undefined : await this.#base.list(path);
    if (entry === undefined && below === undefined && path !== '') return undefined;
    const staged = this.#childrenOf(path);
    if (staged === undefined) return below ?? [];
    const names = new Set(below ?? []);
    for (const name of staged) {
      if (this.#entries.get(joinPath(path, name))?.type === 'whiteout') names.delete(name);
      else names.add(name);
    }
    return [...names].sort(compareTreePaths);
  }

  async walk(path: TreePath): Promise<Iterable<readonly [TreePath, NodeEntry]>> {
    const found: (readonly [TreePath, NodeEntry])[] = [];
    const prefix = path === '' ? '' : `${path}/`;
    if (!this.#fresh.has(path) && !this.#hidden(path) && (await this.#base.list(path)) !== undefined) {
      let skip: string | undefined;
      for (const pair of await this.#base.walk(path)) {
        const [at] = pair;
        if (skip !== undefined && at.startsWith(skip)) continue;
        const entry = this.#entries.get(at);
        if (entry === undefined) found.push(pair);
        else if (entry.type !== 'directory' || this.#fresh.has(at)) skip = `${at}/`;
      }
    }
    for (const [at, entry] of this.#entries) {
      if (at !== path && at.startsWith(prefix) && entry.type !== 'whiteout') found.push([at, entry]);
    }
    return found.sort((a, b) => compareTreePaths(a[0], b[0]));
  }

  async digests(paths: readonly TreePath[]): Promise<readonly Digest[]> {
    const questions = paths.map((path): Question<Digest> => {
      const entry = this.#entries.get(path);
      if (entry?.type === 'file' && entry.digest !== undefined) return { value: entry.digest };
      const origin = this.#visibleOrigin(path);
      if (origin.kind === 'fixed') throw noFile(path);
      return origin;
    });
    return askOrigins<Digest>(questions, async (tree, asked) => tree.digests(asked));
  }

  async locate(paths: Iterable<TreePath>): Promise<Iterable<ContentLocation>> {
    return locateOrigins(paths, (path) => this.#visibleOrigin(path));
  }

  /** @throws BuildError `source-missing` for what is staged and no file, or hidden. */
  #visibleOrigin(path: TreePath): Origin {
    const origin = this.#originOf(path);
    if (origin !== undefined) return origin;
    if (this.#entries.has(path) || this.#hidden(path)) throw noFile(path);
    return { kind: 'tree', tree: this.#base, path };
  }

  #originOf(path: TreePath): Origin | undefined {
    const entry = this.#entries.get(path);
    return entry?.type === 'file' ? this.#ownOrigin(entry.hardlink ?? path) : undefined;
  }

  #ownOrigin(path: TreePath): Origin | undefined {
    return this.#rules.get(this.#entries.mark(path), path);
  }

  /** Where the bytes of a file come from, whatever is done to this tree later. */
  originOf(path: TreePath): Origin {
    return this.#originOf(path) ?? { kind: 'tree', tree: this.#base, path };
  }

  /**
   * Puts `entry` at `path`, whose parent is a directory here. A directory that is there must have been removed first
   * unless `entry` is a directory too. `existing` is what `lookup(path)` says.
   */
  put(path: TreePath, entry: NodeEntry, existing: NodeEntry | undefined, origin?: Origin): void {
    const staged = this.#entries.get(path);
    if (entry.type === 'directory') {
      this.#putDirectory(path, entry, existing, staged);
      return;
    }
    const base = staged === undefined ? existing : undefined;
    if (base !== undefined && entry.type !== 'file' && this.#isSame(base, entry)) return;
    this.#forget(path, staged);
    if (base?.type === 'file' && entry.type === 'file' && origin !== undefined && this.#mayBeSame(base, entry)) {
      if (entry.digest !== undefined) this.#maybeSame.set(path, entry.digest);
    }
    const isFirst = entry.type === 'file' && entry.hardlink === undefined;
    this.#set(path, entry, isFirst ? origin : undefined);
    if (entry.type !== 'file' || entry.hardlink === undefined) return;
    const others = this.#links.get(entry.hardlink);
    if (others === undefined) this.#links.set(entry.hardlink, new Set([path]));
    else others.add(path);
    // A file that others are linked to is not the base's, whatever it looks like.
    this.#maybeSame.delete(entry.hardlink);
  }

  /**
   * Puts all of `table` into the directory `target`, in which nothing is; its files are those of the same names below `from`.
   *
   * @returns False when they must be put one by one: others were put that come after them.
   */
  graft(target: TreePath, table: TreeTable, change: RowChange, tree: FileTree, from: TreePath): boolean {
    const prefix = target === '' ? '' : `${target}/`;
    const mark = this.#rules.markBelow(tree, from === '' ? '' : `${from}/`, prefix);
    if (!this.#entries.takeRows(table, 0, table.size, 0, prefix, mark)) return false;
    this.#entries.changeRows(this.#entries.rowCount - table.size, change);
    for (let row = 0; row < table.size; row++) {
      const isDirectory = table.typeAt(row) === 'directory';
      if (!isDirectory && this.#children === undefined) continue;
      const path = prefix + table.pathAt(row);
      if (isDirectory) this.#fresh.add(path);
      this.#addChild(path);
    }
    return true;
  }

  /** Times are no content: what differs in nothing else takes no space again. */
  #isSame(base: NodeEntry, entry: NodeEntry): boolean {
    const { mtime, mtimeNsec } = base;
    return sameEntry(base, this.#isExact ? entry : { ...entry, mtime, mtimeNsec });
  }

  #mayBeSame(base: FileEntry, entry: FileEntry): boolean {
    return base.hardlink === undefined && entry.hardlink === undefined && this.#isSame(base, entry);
  }

  #putDirectory(
    path: TreePath,
    entry: DirectoryEntry,
    existing: NodeEntry | undefined,
    staged: TreeEntry | undefined,
  ): void {
    if (existing?.type === 'directory') {
      if (staged === undefined && sameEntry(existing, entry)) return;
      const opaque = staged?.type === 'directory' ? staged.opaque : undefined;
      this.#entries.set(path, entry.opaque === opaque ? entry : { ...entry, opaque });
      if (staged === undefined) this.#addChild(path);
      return;
    }
    this.#forget(path, staged);
    // After a removal, what the base had below must not come back (OCI layer.md, opaque whiteout).
    const opaque = staged?.type === 'whiteout' ? true : undefined;
    this.#set(path, entry.opaque === opaque ? entry : { ...entry, opaque });
    this.#fresh.add(path);
  }

  /** Takes away `path` and everything below it. Nothing happens when it is not there. */
  async remove(path: TreePath): Promise<void> {
    if (path === '') throw new BuildError({ code: 'copy', message: 'the root directory cannot be removed' });
    const covered = this.#hidden(path);
    const inBase = !covered && (await this.#base.lookup(path)) !== undefined;
    this.#removeStaged(path);
    if (inBase) this.#set(path, { type: 'whiteout' });
  }

  #removeStaged(path: TreePath): void {
    for (const name of [...(this.#childrenOf(path) ?? [])]) this.#removeStaged(joinPath(path, name));
    this.#forget(path, this.#entries.get(path));
    this.#entries.delete(path);
    this.#children?.get(parentPath(path))?.delete(path.slice(path.lastIndexOf('/') + 1));
  }

  /** Drops what hangs on a staged entry; another name of a hard-linked file takes over the content. */
  #forget(path: TreePath, staged: TreeEntry | undefined): void {
    if (staged === undefined) return;
    this.#fresh.delete(path);
    this.#maybeSame.delete(path);
    if (staged.type !== 'file') return;
    const origin = this.#ownOrigin(path);
    if (staged.hardlink !== undefined) {
      this.#links.get(staged.hardlink)?.delete(path);
      return;
    }
    const others = [...(this.#links.get(path) ?? [])].sort(compareTreePaths);
    this.#links.delete(path);
    const [first, ...rest] = others;
    if (first === undefined) return;
    this.#entries.set(first, { ...staged, hardlink: undefined }, this.#rules.markOf(origin, first));
    if (rest.length > 0) this.#links.set(first, new Set(rest));
    for (const other of rest) this.#entries.set(other, { ...staged, hardlink: first });
  }

  #set(path: TreePath, entry: TreeEntry, origin?: Origin): void {
    this.#entries.set(path, entry, this.#rules.markOf(origin, path));
    this.#addChild(path);
  }

  #addChild(path: TreePath): void {
    if (this.#children !== undefined && path !== '') addChild(this.#children, path);
  }

  #childrenOf(directory: TreePath): ReadonlySet<string> | undefined {
    if (this.#children === undefined) {
      this.#children = new Map();
      for (const path of this.#entries.keys()) if (path !== '') addChild(this.#children, path);
    }
    return this.#children.get(directory);
  }

  /** The staged file whose other names a hard link at `path` would join: its first name. */
  firstName(path: TreePath): TreePath {
    const entry = this.#entries.get(path);
    return entry?.type === 'file' ? (entry.hardlink ?? path) : path;
  }

  /** Replaces the metadata of a staged file and with it that of all its names. */
  update(path: TreePath, change: (entry: FileEntry) => FileEntry): void {
    const first = this.firstName(path);
    for (const name of [first, ...(this.#links.get(first) ?? [])]) {
      const entry = this.#entries.get(name);
      if (entry?.type === 'file') this.#entries.set(name, change(entry), this.#entries.mark(name));
      this.#maybeSame.delete(name);
    }
  }

  /** The layer, sorted, without files that turned out to be the base's own. */
  async finish(): Promise<StagedLayer> {
    if (this.#maybeSame.size > 0) {
      const paths = [...this.#maybeSame.keys()];
      const digests = await this.#base.digests(paths);
      paths.forEach((path, i) => {
        if (digests[i] !== this.#maybeSame.get(path)) return;
        this.#entries.delete(path);
      });
      this.#maybeSame.clear();
      this.#children = undefined;
    }
    const tree = this.#entries.finish();
    return { tree, origins: { get: (path) => this.#rules.get(tree.mark(path), path) } };
  }
}

function addChild(children: Map<TreePath, Set<string>>, path: TreePath): void {
  const parent = parentPath(path);
  const name = path.slice(parent === '' ? 0 : parent.length + 1);
  const names = children.get(parent);
  if (names !== undefined) names.add(name);
  else {
    children.set(parent, new Set([name]));
    // An entry may lie below directories that only the base has.
    if (parent !== '') addChild(children, parent);
  }
}
