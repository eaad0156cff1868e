import type { TreePath } from '../contracts/index.ts';
import { encodePathBytes } from '../sys/path.ts';

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
 * so that none occurs twice. Undefined when nothing is. One pass of native code over all, one over neighbours.
 *
 * @param text The paths joined with NUL.
 */
export function findPathProblem(paths: readonly string[], text: string): string | undefined {
  const below = paths[0] === '' ? text.slice(1) : text;
  if (below !== '' && UNCLEAN.test(below)) return 'a path in it is not clean';
  const plain = !SURROGATES.test(text);
  let before: string | undefined;
  // Most entries lie in the directory of the one before them: compare their names only, natively.
  let directory = '';
  for (const path of paths) {
    if (before !== undefined) {
      const siblings = plain && isChild(path, directory) && isChild(before, directory);
      const ordered = siblings ? before < path : compareTreePaths(before, path) < 0;
      if (!ordered) return `${JSON.stringify(path)} is out of order`;
      if (!siblings) directory = path.slice(0, path.lastIndexOf('/') + 1);
    }
    before = path;
  }
  return undefined;
}

function isChild(path: string, directory: string): boolean {
  return path.startsWith(directory) && !path.includes('/', directory.length);
}

/** An empty, `.` or `..` component anywhere in paths joined with NUL. */
const UNCLEAN = /(?:^|[\0/])\.{0,2}(?:[\0/]|$)/;
const SURROGATES = /[\ud800-\udfff]/;
