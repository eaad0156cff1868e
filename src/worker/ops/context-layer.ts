import type { FileTree, Layer, NodeEntry, TreePath } from '../../contracts/index.ts';
import { TreeTable } from '../../store/index.ts';
import { saveFileLayer, type LayerDeps } from './file-layer.ts';
import { parentPath } from './path.ts';

/** One for each context and path of it, however many steps mount it. */
const made = new WeakMap<FileTree, Map<string, Promise<Layer>>>();

/** A layer of what a build context has at `selector` (and the directories above), for a mount of it. */
export function contextLayer(files: FileTree, selector: string, deps: LayerDeps): Promise<Layer> {
  let ofContext = made.get(files);
  if (ofContext === undefined) made.set(files, (ofContext = new Map<string, Promise<Layer>>()));
  let layer = ofContext.get(selector);
  if (layer === undefined) {
    layer = makeLayer(files, selector, deps);
    ofContext.set(selector, layer);
  }
  return layer;
}

async function makeLayer(files: FileTree, selector: string, deps: LayerDeps): Promise<Layer> {
  const entries = await selectedEntries(files, selector);
  const regular: TreePath[] = [];
  for (const [path, entry] of entries) if (entry.type === 'file' && entry.hardlink === undefined) regular.push(path);
  const digests = await files.digests(regular);
  const digestOf = new Map(regular.map((path, index) => [path, digests[index]]));
  const tree = new TreeTable();
  for (const [path, entry] of entries) {
    if (entry.type !== 'file') {
      tree.set(path, entry);
      continue;
    }
    tree.set(path, { ...entry, digest: digestOf.get(entry.hardlink ?? path) });
  }
  return saveFileLayer(
    { tree: tree.finish(), origins: { get: (path) => ({ kind: 'tree', tree: files, path }) } },
    deps,
  );
}

/** In tree order. Where the path leads through a link, or is not there, all of the context: the mount will find its way. */
async function selectedEntries(files: FileTree, selector: string): Promise<(readonly [TreePath, NodeEntry])[]> {
  const path = selector
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/');
  const top = path === '' || path.split('/').includes('..') ? undefined : await files.lookup(path);
  if (top === undefined || (top.type !== 'directory' && top.type !== 'file')) return [...(await files.walk(''))];
  // A hard link of it may have its first name elsewhere.
  if (top.type === 'file')
    return top.hardlink === undefined ? [[path, top]] : [[path, { ...top, hardlink: undefined }]];
  const parents: (readonly [TreePath, NodeEntry])[] = [];
  for (let parent = path; parent !== ''; parent = parentPath(parent)) {
    const entry = await files.lookup(parent);
    if (entry !== undefined) parents.unshift([parent, entry]);
  }
  const inside = `${path}/`;
  const below = [...(await files.walk(path))].map(([name, entry]): readonly [TreePath, NodeEntry] =>
    entry.type === 'file' && entry.hardlink?.startsWith(inside) === false
      ? [name, { ...entry, hardlink: undefined }]
      : [name, entry],
  );
  return [...parents, ...below];
}
