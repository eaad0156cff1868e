import type { FileTree } from '../../contracts/index.ts';
import type { CopyAction, Vertex } from '../../llb/index.ts';
import type { CopySource } from './missing.ts';
import { selectSources } from './select.ts';
import type { Selection } from './select.ts';

/** Remembers what each copy selected, so that carrying it out does not look again at what its key was made from. */
export interface Selections {
  /** For a key: remembered. */
  select(vertex: Vertex, action: number, source: CopySource, copy: CopyAction): Promise<Selection>;
  /** For the run: what was remembered, once; it may be large. */
  take(vertex: Vertex, action: number, source: CopySource, copy: CopyAction): Promise<Selection>;
}

export function createSelections(): Selections {
  // By tree: a selection lives no longer than the snapshot it was made from.
  const byTree = new WeakMap<FileTree, Map<string, Promise<Selection>>>();
  const select: Selections['select'] = async (vertex, action, source, copy) => {
    let known = byTree.get(source.tree);
    if (known === undefined) byTree.set(source.tree, (known = new Map<string, Promise<Selection>>()));
    const name = `${vertex.digest} ${action}`;
    let selection = known.get(name);
    if (selection === undefined) known.set(name, (selection = selectSources(source, copy)));
    return selection;
  };
  return {
    select,
    async take(vertex, action, source, copy) {
      const selection = select(vertex, action, source, copy);
      byTree.get(source.tree)?.delete(`${vertex.digest} ${action}`);
      return selection;
    },
  };
}
