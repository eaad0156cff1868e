/** The rm action (BuildKit: solver/llbsolver/file/backend.go `rm`): a link at the end is removed, not followed. */
import { BuildError } from '../../contracts/index.ts';
import type { RmAction } from '../../llb/index.ts';
import { cleanPath, joinPath, resolveDestination, resolvePath, splitPath } from './path.ts';
import type { StagedTree } from './staged-tree.ts';
import { expandWildcards } from './wildcard.ts';

export async function removePaths(tree: StagedTree, action: RmAction): Promise<void> {
  if (!action.allowWildcard) {
    await removePath(tree, action.path, action.allowNotFound);
    return;
  }
  const paths = await expandWildcards(tree, action.path, false);
  if (paths === undefined) throw notThere(action.path);
  for (const path of paths) await removePath(tree, path, action.allowNotFound);
}

async function removePath(tree: StagedTree, path: string, allowNotFound: boolean): Promise<void> {
  const [directory, name] = splitPath(cleanPath(path));
  if (name === '') throw new BuildError({ code: 'copy', message: 'the root directory cannot be removed' });
  const parent = await resolveDestination(tree, directory);
  const target = joinPath(parent.path, name);
  if (!allowNotFound && (await resolvePath(tree, target)).entry === undefined) throw notThere(path);
  if ((await tree.lookup(target)) !== undefined) await tree.remove(target);
}

function notThere(path: string): BuildError {
  return new BuildError({ code: 'copy', message: `${cleanPath(path)} is not there to be removed` });
}
