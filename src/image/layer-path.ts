/** Names in layer tars to tree paths, and back; whiteout names (OCI layer.md, "Whiteouts"). */
import { BuildError } from '../contracts/index.ts';
import type { TreePath } from '../contracts/index.ts';

const WHITEOUT = '.wh.';
/** Names that aufs kept for itself; nothing of them belongs in a file system. */
const WHITEOUT_META = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';

export type LayerName =
  | { readonly kind: 'entry'; readonly path: TreePath }
  /** What lower layers have at `path` is gone. */
  | { readonly kind: 'whiteout'; readonly path: TreePath }
  /** What lower layers have in the directory `path` is gone. */
  | { readonly kind: 'opaque'; readonly path: TreePath }
  | { readonly kind: 'ignored' };

/** Linux's PATH_MAX: nothing longer can be a file, and work on paths grows with their length. */
export const PATH_MAX = 4096;

/**
 * A name of an archive as a tree path: no leading or trailing slash, no `.`, no empty component.
 * @throws BuildError `hostile` when a component is `..`: no honest archive has one (CVE-2026-28406); or when it is longer
 *   than any file name can be.
 */
export function treePathOf(name: string): TreePath {
  if (name.length > PATH_MAX) throw hostile(`a name of ${name.length} characters`);
  const start = name.startsWith('./') ? 2 : 0;
  const end = name.endsWith('/') ? name.length - 1 : name.length;
  const path = start === 0 && end === name.length ? name : name.slice(start, Math.max(start, end));
  if (!/(?:^|\/)\.{0,2}(?:\/|$)/.test(path)) return path;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw hostile(`the entry ${JSON.stringify(name)} leads out of the archive`);
  return parts.join('/');
}

/** What an entry of a layer's tar means by its name. */
export function layerNameOf(name: string): LayerName {
  const path = treePathOf(name);
  if (!path.includes(WHITEOUT)) return { kind: 'entry', path };
  const slash = path.lastIndexOf('/');
  const directory = slash === -1 ? '' : path.slice(0, slash);
  const base = path.slice(slash + 1);
  if (base === OPAQUE) return { kind: 'opaque', path: directory };
  if (base.startsWith(WHITEOUT_META) || hasPart(directory, WHITEOUT_META)) return { kind: 'ignored' };
  if (hasPart(directory, WHITEOUT)) throw hostile(`the entry ${JSON.stringify(name)} lies in a whiteout`);
  if (!base.startsWith(WHITEOUT)) return { kind: 'entry', path };
  const target = base.slice(WHITEOUT.length);
  if (target === '' || target === '.' || target === '..') {
    throw hostile(`the whiteout ${JSON.stringify(name)} names nothing in its directory`);
  }
  return { kind: 'whiteout', path: directory === '' ? target : `${directory}/${target}` };
}

/** The name of the whiteout of `path`. */
export function whiteoutName(path: TreePath): string {
  const slash = path.lastIndexOf('/');
  return `${path.slice(0, slash + 1)}${WHITEOUT}${path.slice(slash + 1)}`;
}

/** The name of the mark that makes the directory `path` opaque. */
export function opaqueName(path: TreePath): string {
  return path === '' ? OPAQUE : `${path}/${OPAQUE}`;
}

/** True when a file of this path would be read as a whiteout from a layer. */
export function isWhiteoutName(path: TreePath): boolean {
  return path.startsWith(WHITEOUT, path.lastIndexOf('/') + 1);
}

function hasPart(directory: string, prefix: string): boolean {
  return directory.startsWith(prefix) || directory.includes(`/${prefix}`);
}

function hostile(message: string): BuildError {
  return new BuildError({ code: 'hostile', message });
}
