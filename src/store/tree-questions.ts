/** Questions about all of a finished table, answered without an entry made. */
import { decodePath } from '../sys/path.ts';
import { HAS_DIGEST, HAS_HARDLINK } from './tree-columns.ts';
import type { TreeTable } from './tree-table.ts';

const SLASH = 0x2f;

/** Whether each entry of a finished table lies at its top or in a directory that has an entry, too. */
export function hasParents(table: TreeTable): boolean {
  const { columns, rows } = table.columns();
  const { text, ends } = columns;
  /** The last directory that was found, by where its path is. */
  let [known, length] = [0, 0];
  let start = 0;
  for (let row = 0; row < rows; row++) {
    const end = ends[row] ?? 0;
    const slash = Math.max(start, text.lastIndexOf(SLASH, end - 1));
    // What one directory holds comes one after the other.
    if (slash > start && !(slash - start === length && text.compare(text, known, known + length, start, slash) === 0)) {
      const parent = table.rowOf(decodePath(text.subarray(start, slash)));
      if (parent < 0 || table.typeAt(parent) !== 'directory') return false;
      [known, length] = [start, slash - start];
    }
    start = end + 1;
  }
  return true;
}

/** Bytes of regular files, of several names of one once. */
export function fileBytes(table: TreeTable): number {
  const { columns, rows } = table.columns();
  let bytes = 0;
  for (let row = 0; row < rows; row++) {
    const isLink = ((columns.kinds[row] ?? 0) & HAS_HARDLINK) !== 0;
    if (!isLink && table.typeAt(row) === 'file') bytes += columns.sizes[row] ?? 0;
  }
  return bytes;
}

/** Rows of regular files without a digest. */
export function rowsWithoutDigest(table: TreeTable): readonly number[] {
  const { columns, rows } = table.columns();
  const found: number[] = [];
  for (let row = 0; row < rows; row++) {
    if (table.typeAt(row) === 'file' && ((columns.kinds[row] ?? 0) & HAS_DIGEST) === 0) found.push(row);
  }
  return found;
}
