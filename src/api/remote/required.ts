/**
 * `COPY --parents` of a path without wildcards fails where nothing is there. Daemons that do not know the check
 * (`file.copy.requiredpaths`) would copy nothing without a word: it is made here, before they see the graph.
 */
import type { RemoteFrontend } from '../../buildkit/index.ts';
import { BuildError, type FileTree, type Snapshot } from '../../contracts/index.ts';
import { definition, type CopyAction, type Definition, type VertexInput } from '../../llb/index.ts';
import type { ContextTree } from '../../source/index.ts';
import type { MissingRooms } from './missing.ts';

/** @throws BuildError `source-missing` at the instruction */
export async function checkRequiredPaths(
  graph: Definition,
  daemon: Pick<RemoteFrontend, 'files'>,
  contexts: MissingRooms['contexts'],
): Promise<void> {
  for (const { op, inputs, metadata } of graph.vertices) {
    if (op.kind !== 'file') continue;
    for (const { action, secondaryInput } of op.actions) {
      const input = inputs[secondaryInput];
      if (action.kind !== 'copy' || action.requiredPaths.length === 0 || input === undefined) continue;
      const error = await firstMissing(action, input, daemon, contexts);
      if (error !== undefined) throw new BuildError({ ...error.toInit(), location: metadata.location });
    }
  }
}

async function firstMissing(
  { src, requiredPaths }: CopyAction,
  input: VertexInput,
  daemon: Pick<RemoteFrontend, 'files'>,
  contexts: MissingRooms['contexts'],
): Promise<BuildError | undefined> {
  const { resolvePath, sourceMissing } = await import('../../worker/index.ts');
  const { vertex } = input;
  const context = contextOf(input, contexts);
  const tree: FileTree = context ?? (await daemon.files(definition(input)));
  const snapshot: Snapshot | undefined = context && { layers: [], files: context, inPlace: true };
  const root = await resolvePath(tree, src);
  for (const path of requiredPaths) {
    // What the patterns name is looked for below the source without following links, as the copy does.
    const below = path.slice(src === '/' ? 1 : src.length + 1);
    const at = [root.path, below].filter(Boolean).join('/');
    if (root.entry === undefined || (await tree.lookup(at)) === undefined)
      return await sourceMissing({ tree, snapshot, vertex }, path, at);
  }
  return undefined;
}

function contextOf({ vertex: { op } }: VertexInput, contexts: MissingRooms['contexts']): ContextTree | undefined {
  if (op.kind !== 'source' || !op.identifier.startsWith('local://')) return undefined;
  const excludes = JSON.parse(op.attrs['local.excludepatterns'] ?? '[]') as readonly string[];
  return contexts(op.identifier.slice('local://'.length), excludes);
}
