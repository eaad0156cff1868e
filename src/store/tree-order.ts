import type { TreePath } from '../contracts/index.ts';
import { decodePath, encodePathBytes } from '../sys/path.ts';

const SLASH = 0x2f;

/**
 * The order of trees: bytewise by path with `/` lowest, so that a directory's entries follow it before any sibling
 * whose name continues its own (`a`, `a/b`, `a-b`).
 *
 * @returns Negative, 0 or positive, for `Array.sort`.
 */
export function compareTreePaths(a: TreePath, b: TreePath): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    if (x >= 0xd800 || y >= 0xd800) return compareBytes(a, b, i);
    if (x === SLASH) return -1;
    if (y === SLASH) return 1;
    return x - y;
  }
  return a.length - b.length;
}

/** {@link compareTreePaths} of paths as the file system's bytes, from `start` up to `end` in each buffer. */
export function compareTreeBytes(
  a: Uint8Array,
  startA: number,
  endA: number,
  b: Uint8Array,
  startB: number,
  endB: number,
): number {
  const length = Math.min(endA - startA, endB - startB);
  for (let i = 0; i < length; i++) {
    const x = a[startA + i] ?? 0;
    const y = b[startB + i] ?? 0;
    if (x !== y) return x === SLASH ? -1 : y === SLASH ? 1 : x - y;
  }
  return endA - startA - (endB - startB);
}

/** UTF-16 order and byte order part at the surrogates: compare the bytes from the first difference on. */
function compareBytes(a: string, b: string, at: number): number {
  const before = a.charCodeAt(at - 1);
  const from = before >= 0xd800 && before <= 0xdbff ? at - 1 : at;
  const x = encodePathBytes(a.slice(from));
  const y = encodePathBytes(b.slice(from));
  const length = Math.min(x.length, y.length);
  for (let i = 0; i < length; i++) {
    const p = x[i] ?? 0;
    const q = y[i] ?? 0;
    if (p === q) continue;
    return p === SLASH ? -1 : q === SLASH ? 1 : p - q;
  }
  return x.length - y.length;
}

/**
 * What is wrong with the paths of a tree: each must be clean and relative, and come after the one before it in tree order,
 * so that none occurs twice. Undefined when nothing is.
 *
 * @param text Paths in the file system's bytes, a NUL behind each.
 * @param ends Where each of `count` ends.
 */
export function findPathProblem(text: Buffer, ends: Uint32Array, count: number): string | undefined {
  if (count === 0) return undefined;
  const startOf = (row: number): number => (row === 0 ? 0 : (ends[row - 1] ?? 0) + 1);
  // The root is the one path without a name.
  const from = ends[0] === 0 ? 1 : 0;
  // What the test looks for is ASCII, so that any bytes will do.
  const below = text.toString('latin1', from, ends[count - 1]);
  if (count > from && UNCLEAN.test(below)) return 'a path in it is not clean';
  for (let row = 1; row < count; row++) {
    const [before, start, end] = [startOf(row - 1), startOf(row), ends[row] ?? 0];
    if (compareTreeBytes(text, before, start - 1, text, start, end) >= 0) {
      return `${JSON.stringify(decodePath(text.subarray(start, end)))} is out of order`;
    }
  }
  return undefined;
}

/** An empty, `.` or `..` component anywhere in paths with NULs between them. */
const UNCLEAN = /(?:^|[\0/])\.{0,2}(?:[\0/]|$)/;
