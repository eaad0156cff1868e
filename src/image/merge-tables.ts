/**
 * The same as `merge.ts` by rows: most of a directory is one layer's own, and that is copied as it lies there, without an
 * entry made of any of it.
 */
import type { TreePath } from '../contracts/index.ts';
import { hasParents, TreeTable } from '../store/index.ts';
import { encodePathBytes } from '../sys/path.ts';
import { hidesBelow } from './tree-index.ts';
import type { TreeIndex } from './tree-index.ts';

/** Rows of a layer's table, whose paths lie below one directory. */
interface Part {
  readonly table: TreeTable;
  readonly from: number;
  readonly to: number;
}

/** More layers than these are not copied one over the other. */
const PARTS_MAX = 8;

/**
 * All below the directory `path`, with paths from there. `indexes`: newest first. Undefined where entries must be looked at:
 * there are hard links, or directories that no layer has an entry for.
 */
export function mergeTables(indexes: readonly TreeIndex[], path: TreePath): TreeTable | undefined {
  const parts = partsBelow(indexes, path);
  if (parts.length > PARTS_MAX || parts.some(hasLinks)) return undefined;
  const strip = path === '' ? 0 : encodePathBytes(path).length + 1;
  let merged: TreeTable | undefined = new TreeTable();
  for (const part of parts.reverse()) merged = merged === undefined ? undefined : layOver(part, strip, merged);
  return merged !== undefined && hasParents(merged) ? merged : undefined;
}

/** The layers' shares, newest first, down to the layer that hides the rest. */
function partsBelow(indexes: readonly TreeIndex[], path: TreePath): Part[] {
  const parts: Part[] = [];
  for (const index of indexes) {
    const table = TreeTable.of(index.tree).finish();
    const [from, to] = table.rowsBelow(path);
    if (from < to) parts.push({ table, from, to });
    const entry = table.get(path);
    if (entry !== undefined && (entry.type === 'directory' ? entry.opaque === true : from === to)) break;
    if (hidesBelow(index, path)) break;
  }
  return parts;
}

function hasLinks({ table, from, to }: Part): boolean {
  for (const [row, { hardlink }] of table.columns().extras) {
    if (hardlink !== undefined && row >= from && row < to) return true;
  }
  return false;
}

/** What shows of `lower` beside and below the rows of `part`, and these. Undefined when they are in no order. */
function layOver({ table, from, to }: Part, strip: number, lower: TreeTable): TreeTable | undefined {
  const rows = lower.size;
  const merged = TreeTable.withRoom(rows + to - from, lower.textBytes(0, rows) + table.textBytes(from, to));
  /** Of `lower`: what is above is copied or hidden. */
  let next = 0;
  for (let row = from; row < to; row++) {
    const path = table.pathAt(row, strip);
    const at = Math.max(next, lower.firstRow(path));
    if (!merged.takeRows(lower, next, at)) return undefined;
    const type = table.typeAt(row);
    const hides = type !== 'directory' || table.hidesAt(row);
    next = hides ? Math.max(at, lower.endBelow(path)) : at + (lower.rowOf(path) === at ? 1 : 0);
    if (type === 'whiteout') {
      // The directory that it lies in is there, be it without an entry.
      const slash = path.lastIndexOf('/');
      if (slash > 0 && merged.get(path.slice(0, slash))?.type !== 'directory') return undefined;
      continue;
    }
    if (hides && type === 'directory') {
      const entry = table.get(table.pathAt(row));
      if (entry?.type === 'directory') merged.set(path, { ...entry, opaque: undefined });
      continue;
    }
    // Those that follow before the next of `lower`; the last of them may hide that, and takes its turn.
    const before = next < rows ? table.firstRow(table.pathAt(row).slice(0, -path.length) + lower.pathAt(next)) - 1 : to;
    let end = row + 1;
    while (end < Math.min(before, to) && !table.hidesAt(end)) end++;
    if (!merged.takeRows(table, row, end, strip)) return undefined;
    row = end - 1;
  }
  return merged.takeRows(lower, next, rows) ? merged : undefined;
}
