/**
 * Directories of a layer's directory that its tree does not hold. A layer need not say anything of the parents of what it
 * brings, but a directory on disk has to have them, and overlayfs shows the metadata of the topmost. So each layer keeps
 * the list of its implicit directories beside its own (`l/<id>/implicit`, NUL-separated, absent = none), and where a
 * step's layers say otherwise of one of them, a small layer of directories on top of the lower ones puts it right.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { TreePath } from '../../contracts/index.ts';
import { decodePath, encodePath, encodePathBytes } from '../../sys/path.ts';
import { chmod, lchown, lstat, utimens, type ExactStat } from '../../sys/stat.ts';
import { writeXattr } from '../../sys/xattr.ts';
import { isOpaque, isWhiteout } from './whiteout.ts';
import { imageXattrs } from './xattrs.ts';

const FILE = 'implicit';

/** @param layerRoot `l/<id>`. */
export function saveImplicit(layerRoot: string, paths: readonly TreePath[]): void {
  if (paths.length > 0) writeFileSync(`${layerRoot}/${FILE}`, encodePathBytes(paths.join('\0')), { mode: 0o600 });
}

export function readImplicit(layerRoot: string): readonly TreePath[] {
  try {
    const bytes = readFileSync(`${layerRoot}/${FILE}`);
    return bytes.length === 0 ? [] : decodePath(bytes).split('\0');
  } catch {
    return [];
  }
}

export interface ImplicitLayer {
  /** The layer's directory. */
  readonly directory: string;
  readonly implicit: ReadonlySet<TreePath>;
}

interface Correction {
  readonly path: TreePath;
  /** The directory whose metadata should show. */
  readonly source: string;
  readonly stat: ExactStat;
}

/**
 * Directories whose topmost is an implicit one while a lower layer has one with another owner, mode, attributes.
 *
 * @param layers Bottom to top.
 */
export function implicitCorrections(layers: readonly ImplicitLayer[]): readonly Correction[] {
  const corrections = new Map<TreePath, Correction>();
  const settled = new Set<TreePath>();
  for (let top = layers.length - 1; top > 0; top--) {
    for (const path of layers[top]?.implicit ?? []) {
      if (settled.has(path)) continue;
      settled.add(path);
      if (explicitAbove(layers, top, path)) continue;
      const correction = correctionOf(layers, top, path);
      if (correction !== undefined) corrections.set(path, correction);
    }
  }
  return [...corrections.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Whether a layer above `top` says what `path` is, or hides it. */
function explicitAbove(layers: readonly ImplicitLayer[], top: number, path: TreePath): boolean {
  for (let i = top + 1; i < layers.length; i++) {
    const layer = layers[i];
    if (layer !== undefined && !layer.implicit.has(path) && pathState(layer.directory, path) !== 'absent') return true;
  }
  return false;
}

function correctionOf(layers: readonly ImplicitLayer[], top: number, path: TreePath): Correction | undefined {
  for (let i = top - 1; i >= 0; i--) {
    const layer = layers[i];
    if (layer === undefined) continue;
    // An opaque parent in a layer above hides what is further down.
    const state = pathState(layer.directory, path);
    if (state === 'hidden') return undefined;
    if (state === 'absent') continue;
    if (layer.implicit.has(path)) {
      if (hidesBelow(layer.directory, path)) return undefined;
      continue;
    }
    const { stat, host } = state;
    const own = lstat(`${layers[top]?.directory ?? ''}/${path}`);
    const same = own?.mode === stat.mode && own.uid === stat.uid && own.gid === stat.gid;
    return same && imageXattrs(host) === undefined ? undefined : { path, source: host, stat };
  }
  return undefined;
}

type PathState = 'absent' | 'hidden' | { readonly stat: ExactStat; readonly host: string };

/** `hidden`: the layer has something else at the path or above it, so that lower layers do not show. */
function pathState(directory: string, path: TreePath): PathState {
  let host = directory;
  let hidden = false;
  let stat: ExactStat | undefined;
  for (const name of path.split('/')) {
    host = `${host}/${name}`;
    stat = lstat(host);
    if (stat === undefined) return hidden ? 'hidden' : 'absent';
    if (isWhiteout(stat) || stat.type !== 'directory') return 'hidden';
    hidden ||= isOpaque(host);
  }
  return stat === undefined ? 'absent' : { stat, host };
}

function hidesBelow(directory: string, path: TreePath): boolean {
  let host = directory;
  for (const name of path.split('/')) {
    host = `${host}/${name}`;
    if (isOpaque(host)) return true;
  }
  return false;
}

/** Makes the layer that puts the corrections on top; parents that need none are made as they show. */
export function writeCorrections(
  directory: string,
  layers: readonly ImplicitLayer[],
  corrections: readonly Correction[],
): void {
  mkdirSync(directory, { recursive: true });
  const made = new Map<TreePath, { readonly host: string; readonly stat: ExactStat } | undefined>();
  for (const { path, source, stat } of corrections) {
    const names = path.split('/');
    for (let length = 1; length < names.length; length++) {
      const parent = names.slice(0, length).join('/');
      if (made.has(parent)) continue;
      made.set(parent, shownDirectory(layers, parent));
      mkdirSync(encodePath(`${directory}/${parent}`));
    }
    if (!made.has(path)) mkdirSync(encodePath(`${directory}/${path}`));
    made.set(path, { host: source, stat });
  }
  for (const [path, shown] of [...made].reverse()) {
    if (shown === undefined) continue;
    const host = `${directory}/${path}`;
    lchown(host, shown.stat.uid, shown.stat.gid);
    chmod(host, shown.stat.mode);
    for (const [name, value] of imageXattrs(shown.host) ?? []) writeXattr(host, name, value);
    utimens(host, shown.stat.mtime, shown.stat.mtimeNsec);
  }
}

function shownDirectory(
  layers: readonly ImplicitLayer[],
  path: TreePath,
): { readonly host: string; readonly stat: ExactStat } | undefined {
  for (let i = layers.length - 1; i >= 0; i--) {
    const state = pathState(layers[i]?.directory ?? '', path);
    if (state === 'hidden') return undefined;
    if (state !== 'absent') return state;
  }
  return undefined;
}
