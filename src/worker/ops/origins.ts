/** Where the bytes of files that are not in a directory yet can be had. */
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, FileTree, TreePath } from '../../contracts/index.ts';

/** Where the bytes of a staged file come from. */
export type Origin =
  | { readonly kind: 'tree'; readonly tree: FileTree; readonly path: TreePath }
  | { readonly kind: 'fixed'; readonly location: ContentLocation };

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

export function noFile(path: TreePath): BuildError {
  return new BuildError({ code: 'source-missing', message: `/${path} is not a regular file` });
}
