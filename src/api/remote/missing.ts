/** A COPY source that a daemon did not find, said as our own worker says it: what excluded it, what is there instead. */
import { BuildError, type FileTree, type Snapshot } from '../../contracts/index.ts';
import type { CopyAction, Vertex, VertexInput } from '../../llb/index.ts';
import type { ContextTree } from '../../source/index.ts';

export interface MissingRooms {
  readonly vertices: readonly Vertex[];
  readonly contexts: (name: string, excludes: readonly string[]) => ContextTree | undefined;
}

/** `"/nope": not found`, as checksums and copies of BuildKit put it; old ones without the colon. */
const NOT_FOUND = /"([^"]+)":? not found|lstat (\S+): no such file or directory/;

/** @returns the error itself where nothing better can be said */
export async function explainMissing(error: unknown, { vertices, contexts }: MissingRooms): Promise<unknown> {
  if (!(error instanceof BuildError) || error.code !== 'source-missing') return error;
  const match = NOT_FOUND.exec(error.message);
  const path = match?.[1] ?? match?.[2];
  if (path === undefined) return error;
  for (const { metadata, op, inputs } of vertices) {
    if (op.kind !== 'file' || metadata.location !== error.location) continue;
    for (const { action, secondaryInput } of op.actions) {
      if (action.kind !== 'copy' || !names(action, path)) continue;
      const found = await describe(inputs[secondaryInput], path, contexts);
      if (found !== undefined) return new BuildError({ ...found.toInit(), location: error.location, cause: error });
    }
  }
  return error;
}

/** The daemon may say where links led; the source as it was written is part of it then, or all of it. */
function names({ src }: CopyAction, path: string): boolean {
  const wanted = src.replace(/^\/+|\/+$/g, '');
  return wanted !== '' && (path.replace(/^\/+/, '') === wanted || path.endsWith(`/${wanted}`));
}

async function describe(
  input: VertexInput | undefined,
  path: string,
  contexts: MissingRooms['contexts'],
): Promise<BuildError | undefined> {
  const { sourceMissing } = await import('../../worker/index.ts');
  const at = path.replace(/^\/+/, '');
  const vertex = input?.vertex;
  if (vertex?.op.kind === 'source' && vertex.op.identifier.startsWith('local://')) {
    const { identifier, attrs } = vertex.op;
    const excludes = JSON.parse(attrs['local.excludepatterns'] ?? '[]') as readonly string[];
    const files = contexts(identifier.slice('local://'.length), excludes);
    if (files === undefined) return undefined;
    const snapshot: Snapshot = { layers: [], files, inPlace: true };
    return await sourceMissing({ tree: files, snapshot, vertex }, path, at);
  }
  return await sourceMissing({ tree: NOTHING, snapshot: undefined, vertex }, path, at);
}

/** What a daemon holds is not listed for the sake of a hint. */
const NOTHING: FileTree = {
  lookup: async () => await Promise.resolve(undefined),
  list: async () => await Promise.resolve(undefined),
  walk: async () => await Promise.resolve([]),
  digests: async () => await Promise.resolve([]),
  locate: async () => await Promise.resolve([]),
};
