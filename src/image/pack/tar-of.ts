import type { ContentLocation, Tree, TreePath } from '../../contracts/index.ts';
import { contentPaths, contentSizeOf, planTar } from './plan.ts';
import type { PlanOptions } from './plan.ts';
import { streamHere, streamOnThread } from './tar-stream.ts';
import type { TarBlocks, TarStream } from './tar-stream.ts';

/** Up to here a thread costs more (25 ms) than it saves. */
const HERE_ENTRIES = 500;
const HERE_BYTES = 2 * 1024 * 1024;

const DEFAULT_BLOCKS: TarBlocks = { size: 1024 * 1024, inWork: 2 };

/**
 * A tree as a tar: read on a thread when there is much of it.
 * @param locate Where the bytes of files are (`Layer.locate`, `FileTree.locate`).
 */
export async function tarOf(
  tree: Tree,
  locate: (paths: Iterable<TreePath>) => Promise<Iterable<ContentLocation>>,
  options: PlanOptions & { readonly blocks?: TarBlocks | undefined },
): Promise<{ readonly stream: TarStream; /** Bytes of the files. */ readonly contentSize: number }> {
  const pieces = planTar(tree, await locate(contentPaths(tree)), options);
  const contentSize = contentSizeOf(tree);
  const little = tree.size <= HERE_ENTRIES && contentSize <= HERE_BYTES;
  const { blocks = DEFAULT_BLOCKS } = options;
  const stream = little ? streamHere(pieces, blocks, estimate(tree, contentSize)) : streamOnThread(pieces, blocks);
  return { stream, contentSize };
}

/** Bytes of the tar, near enough for progress. */
export function estimate(tree: Tree, contentSize: number): number {
  return contentSize + tree.size * 768;
}
