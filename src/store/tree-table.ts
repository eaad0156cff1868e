/**
 * A tree in memory as it is on disk: a column for each field, paths as bytes one after the other. An entry is an object
 * only while somebody looks at it; some 110 bytes each are what a hundred thousand of them take.
 */
import type { Digest, Tree, TreeEntry, TreePath } from '../contracts/index.ts';
import { decodePath, encodePath, encodePathBytes } from '../sys/path.ts';
import {
  copyColumns,
  copyPaths,
  DIGEST_BYTES,
  emptyColumns,
  HAS_DIGEST,
  HAS_HARDLINK,
  IS_OPAQUE,
  REMOVED,
  TREE_TYPES,
  TYPE_MASK,
  withRows,
  withText,
  type Extra,
  type TreeColumns,
} from './tree-columns.ts';
import { compareTreeBytes, compareTreePaths } from './tree-order.ts';
import { readEntry, writeEntry } from './tree-rows.ts';

const FILE = TREE_TYPES.indexOf('file');
/** Paths that are decoded at once when one goes through them. */
const PATHS_AT_ONCE = 256;
const FIRST_ROWS = 16;
const FIRST_TEXT = 512;
let needle = Buffer.allocUnsafeSlow(1024);
let needlePath: TreePath | undefined;
let needleLength = 0;

/** New metadata of entries; absent = as it is. */
export interface RowChange {
  readonly mode?: ((mode: number, directory: boolean) => number) | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly mtime?: number | undefined;
  readonly mtimeNsec?: number | undefined;
}

/**
 * Keeps what it is given in the order in which it came, as a map does; {@link TreeTable.finish} puts it in tree order.
 * Looking something up is quickest in that order, too.
 */
export class TreeTable implements ReadonlyMap<TreePath, TreeEntry> {
  #columns: TreeColumns;
  /** With those that were taken out. */
  #rows: number;
  #removed = 0;
  readonly #extras: Map<number, Extra>;
  /** A number for each row that its owner gives a meaning; not stored. */
  #marks = new Uint32Array(0);
  /** Only while rows are out of order. */
  #index: Map<TreePath, number> | undefined;
  /** Where the last one was found. */
  #last = 0;
  /** What was last asked for, is not there and comes after all there is. */
  #next: TreePath | undefined;

  /** @param columns In tree order; never written to. */
  constructor(columns?: TreeColumns, rows = 0, extras = new Map<number, Extra>()) {
    this.#columns = columns ?? emptyColumns(FIRST_ROWS, FIRST_TEXT);
    this.#rows = rows;
    this.#extras = extras;
  }

  /** An empty one that will not grow before it has so many rows, and so many bytes of paths with a NUL each. */
  static withRoom(rows: number, text: number): TreeTable {
    return new TreeTable(emptyColumns(rows, text));
  }

  /** The tree itself where it is a table. */
  static of(tree: Tree): TreeTable {
    if (tree instanceof TreeTable) return tree;
    const table = new TreeTable();
    for (const [path, entry] of tree) table.set(path, entry);
    return table;
  }

  get size(): number {
    return this.#rows - this.#removed;
  }

  /** With those that were taken out. */
  get rowCount(): number {
    return this.#rows;
  }

  has(path: TreePath): boolean {
    return this.#find(path) >= 0;
  }

  get(path: TreePath): TreeEntry | undefined {
    const row = this.#find(path);
    return row < 0 ? undefined : this.#entry(row);
  }

  /** Whether there is an entry below `path`. */
  hasBelow(path: TreePath): boolean {
    const prefix = path === '' ? '' : `${path}/`;
    if (this.#index !== undefined || this.#removed > 0)
      return [...this.keys()].some((known) => known.length > prefix.length && known.startsWith(prefix));
    if (path === '') return this.#rows > (this.has('') ? 1 : 0);
    const length = writeNeedle(prefix);
    const row = this.#firstFrom(length);
    const { text, ends } = this.#columns;
    const start = this.#textEnd(row);
    return (ends[row] ?? 0) - start > length && needle.compare(text, start, start + length, 0, length) === 0;
  }

  /** Rows of what is below `path`: the first, and the one behind the last. Of a finished table. */
  rowsBelow(path: TreePath): readonly [number, number] {
    if (path === '') return [this.#rows > 0 && this.#columns.ends[0] === 0 ? 1 : 0, this.#rows];
    return [this.firstRow(`${path}/`), this.endBelow(path)];
  }

  /** The first row that is neither `path` nor below it nor before it. Of a finished table. */
  endBelow(path: TreePath): number {
    // No byte of a name is lower than one that no name has.
    return path === '' ? this.#rows : this.firstRow(`${path}\0`);
  }

  /** The first row whose path does not come before `path`. Of a finished table. */
  firstRow(path: TreePath): number {
    return this.#firstFrom(writeNeedle(path));
  }

  typeAt(row: number): TreeEntry['type'] {
    return TREE_TYPES[(this.#columns.kinds[row] ?? 0) & TYPE_MASK] ?? 'whiteout';
  }

  /** @param strip Bytes at its beginning to leave out. */
  pathAt(row: number, strip = 0): TreePath {
    return decodePath(this.#columns.text.subarray(this.#textEnd(row) + strip, this.#columns.ends[row]));
  }

  /** Bytes of the paths of rows, with a NUL each. */
  textBytes(from: number, to: number): number {
    return this.#textEnd(to) - this.#textEnd(from);
  }

  /** Whether an entry takes away what lower layers have: a whiteout, an opaque directory. */
  hidesAt(row: number): boolean {
    const kind = this.#columns.kinds[row] ?? 0;
    return (kind & IS_OPAQUE) !== 0 || (TREE_TYPES[kind & TYPE_MASK] ?? 'whiteout') === 'whiteout';
  }

  /** What was given with the entry; 0 = nothing. */
  mark(path: TreePath): number {
    const row = this.#find(path);
    return row < 0 ? 0 : (this.#marks[row] ?? 0);
  }

  set(path: TreePath, entry: TreeEntry, mark = 0): void {
    let row = this.#locate(path);
    if (row < 0) row = this.#append(path);
    else if (this.#isRemoved(row)) this.#removed--;
    this.#write(row, entry);
    if (mark !== 0 || row < this.#marks.length) this.#setMark(row, mark);
  }

  /**
   * Adds rows of another table at once: their paths are `prefix` and what is behind the first `strip` bytes.
   *
   * @param source Finished.
   * @returns False, and nothing is added, when they do not all come after what there is.
   */
  takeRows(source: TreeTable, from: number, to: number, strip = 0, prefix = '', mark = 0): boolean {
    if (from >= to) return true;
    if (this.#index !== undefined) return false;
    const start = source.#textEnd(from);
    const before = encodePathBytes(prefix);
    const length = source.#textEnd(to) - start + (to - from) * (before.length - strip);
    const row = this.#rows;
    if (row > 0) {
      const first = Buffer.concat([before, source.#columns.text.subarray(start + strip, source.#columns.ends[from])]);
      const { text, ends } = this.#columns;
      if (compareTreeBytes(text, this.#textEnd(row - 1), ends[row - 1] ?? 0, first, 0, first.length) >= 0) return false;
    }
    this.#reserve(row + to - from, this.#textEnd(row) + length);
    copyColumns(source.#columns, from, to, this.#columns, row);
    copyPaths(source.#columns, start, from, to, strip, before, this.#columns, this.#textEnd(row), row);
    if (source.#extras.size > 0) {
      for (let at = from; at < to; at++) {
        const extra = source.#extras.get(at);
        if (extra !== undefined) this.#extras.set(row + at - from, extra);
      }
    }
    this.#rows += to - from;
    this.#next = undefined;
    if (mark !== 0) {
      this.#setMark(this.#rows - 1, mark);
      this.#marks.fill(mark, row, this.#rows);
    }
    return true;
  }

  /** The digest of the file in a row becomes known. */
  setDigest(row: number, digest: Digest): void {
    const { kinds, digests } = this.#columns;
    digests.write(digest.slice(7), row * DIGEST_BYTES, DIGEST_BYTES, 'hex');
    kinds[row] = (kinds[row] ?? 0) | HAS_DIGEST;
  }

  /** What is given holds for all rows from `from` on; link modes stay. */
  changeRows(from: number, { mode, uid, gid, mtime, mtimeNsec }: RowChange): void {
    const { modes, uids, gids, mtimes, nanoseconds } = this.#columns;
    if (uid !== undefined) uids.fill(uid, from, this.#rows);
    if (gid !== undefined) gids.fill(gid, from, this.#rows);
    if (mtime !== undefined) mtimes.fill(mtime, from, this.#rows);
    if (mtimeNsec !== undefined) nanoseconds.fill(mtimeNsec, from, this.#rows);
    if (mode === undefined) return;
    for (let row = from; row < this.#rows; row++) {
      const type = this.typeAt(row);
      if (type !== 'symlink') modes[row] = mode(modes[row] ?? 0, type === 'directory');
    }
  }

  delete(path: TreePath): void {
    const row = this.#find(path);
    if (row < 0) return;
    this.#columns.kinds[row] = REMOVED;
    this.#extras.delete(row);
    this.#removed++;
  }

  /** @returns The same in tree order and without gaps: the table itself where it is so already. */
  finish(): TreeTable {
    if (this.#index === undefined && this.#removed === 0) return this;
    const rows: (readonly [TreePath, number])[] = [];
    for (const [row, path] of this.#paths()) rows.push([path, row]);
    if (this.#index !== undefined) rows.sort((a, b) => compareTreePaths(a[0], b[0]));
    const table = new TreeTable(emptyColumns(rows.length, this.#textEnd(this.#rows)));
    for (const [path, row] of rows) table.set(path, this.#entry(row), this.#marks[row] ?? 0);
    return table;
  }

  /** Of {@link TreeTable.finish}: all there is, for writing. */
  columns(): { readonly columns: TreeColumns; readonly rows: number; readonly extras: ReadonlyMap<number, Extra> } {
    return { columns: this.#columns, rows: this.#rows, extras: this.#extras };
  }

  /** The row of a path in a finished table; -1 = none. */
  rowOf(path: TreePath): number {
    return this.#find(path);
  }

  /** Paths of the regular files that are neither empty nor other names of one; no entry is made for it. */
  *contentPaths(): Generator<TreePath> {
    const { kinds, sizes } = this.#columns;
    for (const [row, path] of this.#paths()) {
      if (((kinds[row] ?? 0) & (TYPE_MASK | HAS_HARDLINK)) === FILE && (sizes[row] ?? 0) > 0) yield path;
    }
  }

  /** The first name of a regular file; no entry is made for it. */
  firstName(path: TreePath): TreePath | undefined {
    const row = this.#find(path);
    const kind = row < 0 ? REMOVED : (this.#columns.kinds[row] ?? 0);
    if ((kind & TYPE_MASK) !== FILE) return undefined;
    return (kind & HAS_HARDLINK) === 0 ? path : this.#extras.get(row)?.hardlink;
  }

  *entries(): Generator<[TreePath, TreeEntry], undefined, unknown> {
    for (const [row, path] of this.#paths()) yield [path, this.#entry(row)];
    return undefined;
  }

  [Symbol.iterator](): Generator<[TreePath, TreeEntry], undefined, unknown> {
    return this.entries();
  }

  *keys(): Generator<TreePath, undefined, unknown> {
    for (const [, path] of this.#paths()) yield path;
    return undefined;
  }

  *values(): Generator<TreeEntry, undefined, unknown> {
    for (let row = 0; row < this.#rows; row++) if (!this.#isRemoved(row)) yield this.#entry(row);
    return undefined;
  }

  forEach(each: (entry: TreeEntry, path: TreePath, tree: ReadonlyMap<TreePath, TreeEntry>) => void): void {
    for (const [path, entry] of this) each(entry, path, this);
  }

  *#paths(): Generator<readonly [number, TreePath]> {
    for (let from = 0; from < this.#rows; from += PATHS_AT_ONCE) {
      const to = Math.min(from + PATHS_AT_ONCE, this.#rows);
      const { text, ends } = this.#columns;
      const paths = decodePath(text.subarray(this.#textEnd(from), ends[to - 1])).split('\0');
      for (let row = from; row < to; row++) if (!this.#isRemoved(row)) yield [row, paths[row - from] ?? ''];
    }
  }

  #isRemoved(row: number): boolean {
    return this.#columns.kinds[row] === REMOVED;
  }

  /** Of the rows before `row`, with the NUL. */
  #textEnd(row: number): number {
    return row === 0 ? 0 : (this.#columns.ends[row - 1] ?? 0) + 1;
  }

  #find(path: TreePath): number {
    const row = this.#locate(path);
    return row >= 0 && this.#isRemoved(row) ? -1 : row;
  }

  /** The row that has or had the path, or -1. */
  #locate(path: TreePath): number {
    if (path === this.#next) return -1;
    if (this.#index !== undefined) return this.#index.get(path) ?? -1;
    if (this.#rows === 0) return -1;
    const length = writeNeedle(path);
    const last = this.#compare(length, this.#rows - 1);
    if (last > 0) {
      this.#next = path;
      return -1;
    }
    if (last === 0) return this.#rows - 1;
    // Who asks for many asks in order.
    for (let row = this.#last; row < Math.min(this.#last + 2, this.#rows); row++) {
      if (this.#compare(length, row) === 0) return (this.#last = row);
    }
    const row = this.#firstFrom(length);
    return this.#compare(length, row) === 0 ? (this.#last = row) : -1;
  }

  /** The first row whose path does not come before the needle. */
  #firstFrom(length: number): number {
    let low = 0;
    let high = this.#rows;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(length, middle) > 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How the first bytes of the needle compare to the path of a row. */
  #compare(length: number, row: number): number {
    const { text, ends } = this.#columns;
    return compareTreeBytes(needle, 0, length, text, this.#textEnd(row), ends[row] ?? 0);
  }

  #append(path: TreePath): number {
    const row = this.#rows;
    const start = this.#textEnd(row);
    const length = writeNeedle(path);
    this.#reserve(row + 1, start + length + 1);
    const { text, ends } = this.#columns;
    const end = start + needle.copy(text, start, 0, length);
    text[end] = 0;
    ends[row] = end;
    if (this.#index !== undefined) this.#index.set(path, row);
    else if (
      row > 0 &&
      path !== this.#next &&
      compareTreeBytes(text, this.#textEnd(row - 1), ends[row - 1] ?? 0, text, start, end) > 0
    ) {
      this.#index = new Map(Array.from(this.#allPaths(row), (known, at) => [known, at]));
      this.#index.set(path, row);
    }
    this.#next = undefined;
    this.#rows++;
    return row;
  }

  /** Those that were taken out, too. */
  #allPaths(rows: number): readonly TreePath[] {
    const { text, ends } = this.#columns;
    return decodePath(text.subarray(0, ends[rows - 1])).split('\0');
  }

  #reserve(rows: number, text: number): void {
    const { kinds, text: paths } = this.#columns;
    if (kinds.length < rows) this.#columns = withRows(this.#columns, Math.ceil(rows * 1.5));
    if (paths.length < text) this.#columns = withText(this.#columns, Math.ceil(text * 1.5));
  }

  #setMark(row: number, mark: number): void {
    if (row >= this.#marks.length) {
      const more = new Uint32Array(this.#columns.kinds.length);
      more.set(this.#marks);
      this.#marks = more;
    }
    this.#marks[row] = mark;
  }

  #write(row: number, entry: TreeEntry): void {
    const extra = writeEntry(this.#columns, row, entry);
    if (extra !== undefined) this.#extras.set(row, extra);
    else if (this.#extras.size > 0) this.#extras.delete(row);
  }

  #entry(row: number): TreeEntry {
    return readEntry(this.#columns, row, this.#extras);
  }
}

/** @returns Bytes written. */
function writePath(into: Buffer, at: number, path: TreePath): number {
  const encoded = encodePath(path);
  if (typeof encoded === 'string') return into.write(encoded, at);
  into.set(encoded, at);
  return encoded.length;
}

/** @returns Bytes of the path in the needle. */
function writeNeedle(path: TreePath): number {
  // What is looked up is mostly looked up again to be set.
  if (path === needlePath) return needleLength;
  if (path.length * 3 > needle.length) needle = Buffer.allocUnsafeSlow(path.length * 6);
  needlePath = path;
  return (needleLength = writePath(needle, 0, path));
}
