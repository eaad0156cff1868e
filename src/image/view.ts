/**
 * Layers seen as one file system, as overlayfs would show them, from their trees alone. A layer's tree is asked for only
 * when the layers above leave something open, so that a path that the newest layer settles pulls nothing.
 */
import { BuildError } from '../contracts/index.ts';
import type {
  ContentLocation,
  Digest,
  FileEntry,
  FileTree,
  Layer,
  NodeEntry,
  Snapshot,
  Survey,
  TreePath,
} from '../contracts/index.ts';
import { rowsWithoutDigest } from '../store/index.ts';
import type { TreeTable } from '../store/index.ts';
import { IMPLICIT_DIRECTORY } from './layer-tree-builder.ts';
import { hidesBelow } from './tree-index.ts';
import type { TreeIndex } from './tree-index.ts';
import { GROUP_SIZE, isSilent } from './layer-group.ts';
import { loadedIndex, loadIndex } from './layer-index.ts';
import { listMerged, walkMerged } from './merge.ts';
import type { MergedEntry } from './merge.ts';
import { mergeTables } from './merge-tables.ts';

/** The merged view of layers, bottom to top. No layers: an empty root. */
export function mergeLayers(layers: readonly Layer[]): FileTree {
  return new LayerView(layers);
}

export function snapshotOf(layers: readonly Layer[]): Snapshot {
  return { layers, files: mergeLayers(layers), inPlace: false };
}

/** An entry with the layer that it comes from; undefined for directories that no layer has an entry for. */
interface Found {
  readonly entry: NodeEntry;
  readonly layer: number;
  /** Its name in that layer: another one for a hard link into a lower layer. */
  readonly path: TreePath;
}

class LayerView implements FileTree {
  readonly #layers: readonly Layer[];
  /** Those that are loaded, as far as this view has noticed. */
  readonly #indexes: (TreeIndex | undefined)[];

  /** What was last asked for whole, while somebody has it: for a survey, for a key, for a copy. */
  #below: { readonly path: TreePath; readonly table: WeakRef<TreeTable> | undefined } | undefined;

  constructor(layers: readonly Layer[]) {
    this.#layers = layers;
    this.#indexes = layers.map(loadedIndex);
  }

  async lookup(path: TreePath): Promise<NodeEntry | undefined> {
    const found = await this.#find(path);
    if (found?.entry.type !== 'file' || found.entry.hardlink === undefined) return found?.entry;
    return this.#visibleLink(found.entry, found, path);
  }

  async list(path: TreePath): Promise<readonly string[] | undefined> {
    const indexes = await this.#indexesFor(path);
    return indexes === undefined ? undefined : listMerged(indexes, path);
  }

  async walk(path: TreePath): Promise<Iterable<readonly [TreePath, NodeEntry]>> {
    const table = await this.subtree(path);
    if (table !== undefined) return { [Symbol.iterator]: () => entriesBelow(table, path) };
    const indexes = await this.#indexesFor(path);
    if (indexes === undefined) return [];
    const whole = indexes.some(({ hasLinks }) => hasLinks) ? await this.#loadAll() : indexes;
    return { [Symbol.iterator]: () => plainEntries(walkMerged(indexes, path), whole) };
  }

  async subtree(path: TreePath): Promise<TreeTable | undefined> {
    if (this.#below?.path === path) {
      const known = this.#below.table?.deref();
      if (known !== undefined || this.#below.table === undefined) return known;
    }
    const indexes = await this.#indexesFor(path);
    if (indexes === undefined) return undefined;
    const table = mergeTables(indexes, path);
    this.#below = { path, table: table === undefined ? undefined : new WeakRef(table) };
    return table;
  }

  async survey(path: TreePath): Promise<Survey | undefined> {
    const table = await this.subtree(path);
    if (table === undefined) return undefined;
    const unknown = rowsWithoutDigest(table).map((row) => (path === '' ? '' : `${path}/`) + table.pathAt(row));
    return { count: table.size, linked: NO_LINKS, unknown };
  }

  digests(paths: readonly TreePath[]): Promise<readonly Digest[]> {
    return this.#fromLayers(paths, (layer, own) => layer.digests(own));
  }

  locate(paths: Iterable<TreePath>): Promise<readonly ContentLocation[]> {
    return this.#fromLayers([...paths], async (layer, own) => [...(await layer.locate(own))]);
  }

  /** Asks each layer once for all of its files. */
  async #fromLayers<T>(
    paths: readonly TreePath[],
    ask: (layer: Layer, paths: readonly TreePath[]) => Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    const wanted = new Map<number, { at: number[]; paths: TreePath[] }>();
    for (const [i, path] of paths.entries()) {
      const now = this.#findNow(path, this.#layers.length - 1);
      const found = typeof now === 'number' ? await this.#find(path) : now;
      if (found?.entry.type !== 'file') throw noFile(path);
      const group = wanted.get(found.layer) ?? { at: [], paths: [] };
      wanted.set(found.layer, group);
      group.at.push(i);
      group.paths.push(found.path);
    }
    const answers = new Array<T>(paths.length);
    await Promise.all(
      [...wanted].map(async ([number, group]) => {
        const layer = this.#layers[number];
        if (layer === undefined) return;
        const got = await ask(layer, group.paths);
        for (const [i, at] of group.at.entries()) answers[at] = got[i] as T;
      }),
    );
    return answers;
  }

  /** Asks for a layer's tree. */
  async #load(number: number): Promise<TreeIndex> {
    const layer = this.#layers[number];
    if (layer === undefined) throw new BuildError({ code: 'internal', message: `there is no layer ${number}` });
    return (this.#indexes[number] ??= await loadIndex(layer));
  }

  /** Newest first. */
  #loadAll(below = this.#layers.length): Promise<readonly TreeIndex[]> {
    return Promise.all(Array.from({ length: below }, (_, i) => this.#load(below - 1 - i)));
  }

  /** Looks from layer `top` down until one settles the path. */
  async #find(path: TreePath, top = this.#layers.length - 1): Promise<Found | undefined> {
    for (;;) {
      const found = this.#findNow(path, top);
      if (typeof found !== 'number') return found;
      await this.#load(found);
    }
  }

  /** The same with what is loaded; the number of a layer when that has to be loaded first. */
  #findNow(path: TreePath, top: number): Found | undefined | number {
    let implicit = path === '';
    for (let number = top; number >= 0; number--) {
      if (isSilent(this.#indexes, number, path)) {
        number -= GROUP_SIZE - 1;
        continue;
      }
      const index = this.#indexes[number];
      if (index === undefined) return number;
      const entry = index.tree.get(path);
      if (entry !== undefined) {
        if (entry.type === 'directory') return { entry, layer: number, path };
        if (implicit) break;
        if (entry.type === 'whiteout') return undefined;
        const isLower = entry.type === 'file' && entry.hardlink !== undefined && !index.tree.has(entry.hardlink);
        return isLower ? this.#findLower(entry.hardlink, number) : { entry, layer: number, path };
      }
      implicit ||= index.hasBelow(path);
      if (hidesBelow(index, path)) break;
    }
    return implicit ? { entry: IMPLICIT_DIRECTORY, layer: -1, path } : undefined;
  }

  /** The file that a hard link names which its own layer does not hold. */
  #findLower(target: TreePath, layer: number): Found | undefined | number {
    const found = this.#findNow(target, layer - 1);
    if (typeof found === 'number' || found === undefined) return found;
    return found.entry.type === 'file' ? { ...found, entry: { ...found.entry, hardlink: undefined } } : undefined;
  }

  /** `entry` as a link to the first of its names that is still to be seen, or as a file when it is that itself. */
  async #visibleLink(entry: FileEntry, { layer }: Found, path: TreePath): Promise<FileEntry> {
    const { names } = await this.#load(layer);
    for (const name of names.get(entry.hardlink ?? path) ?? []) {
      if (name === path) break;
      const other = await this.#find(name);
      if (other?.layer === layer && other.path === name) return { ...entry, hardlink: name };
    }
    return { ...entry, hardlink: undefined };
  }

  /** Indexes of the layers that have a say in a directory, newest first; undefined when it is none. */
  async #indexesFor(path: TreePath): Promise<readonly TreeIndex[] | undefined> {
    const found = await this.#find(path);
    if (found?.entry.type !== 'directory') return undefined;
    const indexes: TreeIndex[] = [];
    let pending = this.#layers.length;
    // What is loaded already may show that nothing below matters; what then remains is loaded at once.
    for (let index = this.#indexes[pending - 1]; index !== undefined; index = this.#indexes[pending - 1]) {
      pending--;
      indexes.push(index);
      const entry = index.tree.get(path);
      const settled = entry !== undefined && (entry.type !== 'directory' || entry.opaque === true);
      if (settled || hidesBelow(index, path)) return indexes;
    }
    return [...indexes, ...(await this.#loadAll(pending))];
  }
}

const NO_LINKS: ReadonlySet<TreePath> = new Set();

function* entriesBelow(table: TreeTable, path: TreePath): Generator<readonly [TreePath, NodeEntry]> {
  const prefix = path === '' ? '' : `${path}/`;
  for (const [name, entry] of table) if (entry.type !== 'whiteout') yield [prefix + name, entry];
}

/** Hard links resolved: each points to the first name of its file that the view shows. `all`: newest first. */
function* plainEntries(
  merged: Iterable<MergedEntry>,
  all: readonly TreeIndex[],
): Generator<readonly [TreePath, NodeEntry]> {
  for (const { path, entry, index } of merged) {
    if (entry.type !== 'file' || entry.hardlink === undefined) {
      yield [path, entry];
    } else if (index.tree.has(entry.hardlink)) {
      const names = index.names.get(entry.hardlink) ?? [];
      const first = names.find((name) => name === path || findIn(all, name)?.index === index);
      yield [path, { ...entry, hardlink: first === path ? undefined : first }];
    } else {
      const lower = lowerFile(all, index, entry.hardlink);
      if (lower !== undefined) yield [path, { ...lower, hardlink: undefined }];
    }
  }
}

/** The file below `index` that a hard link of it names. */
function lowerFile(all: readonly TreeIndex[], index: TreeIndex, target: TreePath): FileEntry | undefined {
  const found = findIn(all.slice(all.indexOf(index) + 1), target);
  if (found?.entry.type !== 'file') return undefined;
  const { hardlink } = found.entry;
  return hardlink === undefined || found.index.tree.has(hardlink) ? found.entry : lowerFile(all, found.index, hardlink);
}

/** As `#find`, for trees at hand; links into lower layers count as not there. */
function findIn(
  indexes: readonly TreeIndex[],
  path: TreePath,
): { readonly entry: NodeEntry; readonly index: TreeIndex } | undefined {
  for (const index of indexes) {
    const entry = index.tree.get(path);
    if (entry !== undefined) return entry.type === 'whiteout' ? undefined : { entry, index };
    if (index.hasBelow(path) || hidesBelow(index, path)) return undefined;
  }
  return undefined;
}

function noFile(path: TreePath): BuildError {
  return new BuildError({ code: 'source-missing', message: `/${path} is not a regular file` });
}

/** Scratch. */
export const emptySnapshot: Snapshot = snapshotOf([]);
