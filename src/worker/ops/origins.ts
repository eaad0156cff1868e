/** Where the bytes of files that are not in a directory yet can be had. */
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, FileTree, TreePath } from '../../contracts/index.ts';

/** Where the bytes of a staged file come from. */
export type Origin =
  | { readonly kind: 'tree'; readonly tree: FileTree; readonly path: TreePath }
  | { readonly kind: 'fixed'; readonly location: ContentLocation };

/** By path in the layer; of hard links, of the first name. */
export interface Origins {
  get(path: TreePath): Origin | undefined;
}

/** Files below `to` come from the same names below `from`; both are empty or end in a slash, or name one file. */
interface TreeRule {
  readonly kind: 'tree';
  readonly tree: FileTree;
  readonly from: string;
  readonly to: string;
}

/** Origins of many files in little room: those of a directory that was copied are one rule. A mark names a rule; 0 = none. */
export class OriginRules {
  readonly #rules: (TreeRule | Extract<Origin, { kind: 'fixed' }>)[] = [];

  get(mark: number, path: TreePath): Origin | undefined {
    const rule = this.#rules[mark - 1];
    if (rule?.kind !== 'tree') return rule;
    return { kind: 'tree', tree: rule.tree, path: rule.from + path.slice(rule.to.length) };
  }

  /** The mark of all files below `to` that come from the same names below `from` of a tree; see {@link TreeRule}. */
  markBelow(tree: FileTree, from: string, to: string): number {
    return this.#rules.push({ kind: 'tree', tree, from, to });
  }

  /** @param path Where the file comes to lie. */
  markOf(origin: Origin | undefined, path: TreePath): number {
    if (origin === undefined) return 0;
    const last = this.#rules.at(-1);
    if (
      origin.kind === 'tree' &&
      last?.kind === 'tree' &&
      origin.tree === last.tree &&
      follows(last, origin.path, path)
    ) {
      return this.#rules.length;
    }
    return this.#rules.push(
      origin.kind === 'fixed' ? origin : { kind: 'tree', tree: origin.tree, ...renamed(origin.path, path) },
    );
  }
}

function follows({ from, to }: TreeRule, source: TreePath, path: TreePath): boolean {
  return (
    source.length - from.length === path.length - to.length &&
    source.startsWith(from) &&
    path.startsWith(to) &&
    source.endsWith(path.slice(to.length))
  );
}

/** What of two paths differs: all up to the longest tail of names that both have. */
function renamed(source: TreePath, path: TreePath): { readonly from: string; readonly to: string } {
  let same = 0;
  for (;;) {
    const name = path.slice(path.lastIndexOf('/', path.length - same - 2) + 1);
    if (name.length === same || !(source === name || source.endsWith(`/${name}`))) break;
    same = name.length;
    if (same === path.length || same === source.length) break;
  }
  return { from: source.slice(0, source.length - same), to: path.slice(0, path.length - same) };
}

export type Question<T> = { readonly value: T } | { readonly tree: FileTree; readonly path: TreePath };

/** Groups questions about file content by the tree that answers, one call a tree, answers in the order asked. */
export async function askOrigins<T>(
  questions: readonly Question<T>[],
  ask: (tree: FileTree, paths: readonly TreePath[]) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const answers = new Array<T>(questions.length);
  const batches = new Map<FileTree, { readonly at: number[]; readonly paths: TreePath[] }>();
  questions.forEach((question, i) => {
    if ('value' in question) {
      answers[i] = question.value;
      return;
    }
    let batch = batches.get(question.tree);
    if (batch === undefined) batches.set(question.tree, (batch = { at: [], paths: [] }));
    batch.at.push(i);
    batch.paths.push(question.path);
  });
  await Promise.all(
    Array.from(batches, async ([tree, { at, paths }]) => {
      const values = await ask(tree, paths);
      at.forEach((position, i) => {
        const value = values[i];
        if (value !== undefined) answers[position] = value;
      });
    }),
  );
  return answers;
}

/** As `FileTree.locate`, of files whose origins are known: each tree is asked once for all of its own. */
export async function locateOrigins(
  paths: Iterable<TreePath>,
  originOf: (path: TreePath) => Origin,
): Promise<Iterable<ContentLocation>> {
  const origins = { [Symbol.iterator]: () => Iterator.from(paths).map(originOf) };
  const trees = new Set<FileTree>();
  for (const origin of origins) if (origin.kind === 'tree') trees.add(origin.tree);
  const located = await Promise.all(
    Array.from(trees, async (tree) => {
      const own = { [Symbol.iterator]: () => pathsIn(tree, origins) };
      return [tree, Iterator.from(await tree.locate(own))] as const;
    }),
  );
  const locations = new Map(located);
  return Iterator.from(paths).map((path): ContentLocation => {
    const origin = originOf(path);
    if (origin.kind === 'fixed') return origin.location;
    const next = locations.get(origin.tree)?.next();
    if (next === undefined || next.done === true) throw noFile(path);
    return next.value;
  });
}

function* pathsIn(tree: FileTree, origins: Iterable<Origin>): Generator<TreePath> {
  for (const origin of origins) if (origin.kind === 'tree' && origin.tree === tree) yield origin.path;
}

export function noFile(path: TreePath): BuildError {
  return new BuildError({ code: 'source-missing', message: `/${path} is not a regular file` });
}
