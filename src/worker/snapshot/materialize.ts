/** Makes the directory of a layer: whole and under its final name, or not at all. Large ones on a thread. */
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import type { MaterializeRequest, Tree } from '../../contracts/index.ts';
import { decodeTree, type StoreLayout } from '../../store/index.ts';
import { errnoOf } from '../../sys/errno.ts';
import { removeTree } from '../../sys/remove.ts';
import { saveImplicit } from './implicit.ts';
import { readPlan, writeTreeDirectory, type Plan } from './materialize-tree.ts';
import { onThread } from './threads.ts';
import { writeTree } from './save-tree.ts';
import { unpackLayer } from './unpack-layer.ts';

export interface MaterializeInput {
  readonly request: MaterializeRequest;
  readonly layerRoot: string;
  readonly directory: string;
  readonly treePath: string;
}

/** What is written on the event loop; more would hold up other steps for longer than a thread takes to start. */
const INLINE_ENTRIES = 200;
const INLINE_BYTES = 4 * 1024 * 1024;

/** Idempotent. Errors: see {@link unpackLayer} and {@link writeTreeDirectory}; `cancelled`. */
export async function materialize(
  { layout }: { readonly layout: StoreLayout },
  request: MaterializeRequest,
  signal: AbortSignal,
): Promise<void> {
  const directory = layout.layerDir(request.layer);
  if (existsSync(directory)) return;
  const layerRoot = layout.layerRoot(request.layer);
  const input: MaterializeInput = { request, layerRoot, directory, treePath: layout.treePath(request.layer) };
  if (request.kind === 'tree') {
    const tree = decodeTree(readFileSync(input.treePath));
    const plan = readPlan(request.planPath);
    if (isSmall(tree)) {
      writeFromTree(input, tree, plan);
      return;
    }
  }
  await onThread('materialize', input, signal);
}

/** On the thread: from the start, as trees and plans are cheaper to read than to hand over. */
export async function materializeNow(input: MaterializeInput, signal: AbortSignal): Promise<void> {
  const { request } = input;
  if (request.kind === 'tree') {
    writeFromTree(input, decodeTree(readFileSync(input.treePath)), readPlan(request.planPath), signal);
    return;
  }
  await intoPlace(input, async (draft) => {
    const name = `layer ${request.blobPath.slice(request.blobPath.lastIndexOf('/') + 1)}`;
    // The first reading of the blob, which verified it, made the tree; only a crash leaves the one without the other.
    const hash = !existsSync(input.treePath);
    const { tree, implicit } = await unpackLayer({ blobPath: request.blobPath, directory: draft, name, hash }, signal);
    saveImplicit(input.layerRoot, implicit);
    if (hash) writeTree(input.treePath, tree);
  });
}

function writeFromTree(input: MaterializeInput, tree: Tree, plan: Plan, signal?: AbortSignal): void {
  const draft = draftOf(input);
  try {
    saveImplicit(
      input.layerRoot,
      writeTreeDirectory(draft, tree, plan, () => signal?.aborted === true),
    );
    settle(draft, input.directory);
  } catch (error) {
    removeTree(draft);
    throw error;
  }
}

async function intoPlace(input: MaterializeInput, write: (draft: string) => Promise<void>): Promise<void> {
  const draft = draftOf(input);
  try {
    await write(draft);
    settle(draft, input.directory);
  } catch (error) {
    removeTree(draft);
    throw error;
  }
}

/** A fresh name beside the directory; what a dead process left there is removed. */
function draftOf({ layerRoot, directory }: MaterializeInput): string {
  mkdirSync(layerRoot, { recursive: true, mode: 0o700 });
  const draft = `${directory}.new`;
  removeTree(draft);
  removeTree(`${draft}.parts`);
  return draft;
}

/** Somebody else may have been faster: theirs is as good. */
function settle(draft: string, directory: string): void {
  try {
    renameSync(draft, directory);
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    removeTree(draft);
  }
}

function isSmall(tree: Tree): boolean {
  if (tree.size > INLINE_ENTRIES) return false;
  let bytes = 0;
  for (const entry of tree.values()) if (entry.type === 'file') bytes += entry.size;
  return bytes <= INLINE_BYTES;
}
