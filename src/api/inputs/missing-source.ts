import { BuildError, type Peek } from '../../contracts/index.ts';
import type { FrontendResult } from '../../frontend/index.ts';
import type { CopyAction, Vertex } from '../../llb/index.ts';

/**
 * Adds to the error of a COPY source that is not there which other stage has it. The worker, which found it missing,
 * knows no stages; what is looked at is what this build or an earlier one made.
 */
export async function otherStageHint(
  error: BuildError,
  { definition, stages }: FrontendResult,
  peek: Peek,
): Promise<BuildError> {
  if (error.code !== 'source-missing') return error;
  const failed = definition.vertices.filter(
    (vertex) => vertex.op.kind === 'file' && vertex.metadata.location === error.location,
  );
  const sources = failed.flatMap((vertex) =>
    copies(vertex).filter((copy) => error.message.includes(copy.src.replace(/^\//, ''))),
  );
  for (const { src, from } of sources) {
    for (const stage of stages) {
      if (stage.result === undefined || stage.result.vertex === from) continue;
      const snapshot = await peek({ vertex: stage.result.vertex.digest, index: stage.result.index }).catch(
        () => undefined,
      );
      if ((await snapshot?.files.lookup(src.replace(/^\//, ''))) === undefined) continue;
      const hint = `stage ${stage.name} has it: COPY --from=${stage.name} ${src}`;
      return new BuildError({ ...error.toInit(), hint: error.hint === undefined ? hint : `${hint}. ${error.hint}` });
    }
  }
  return error;
}

/** What a file op copies, and from which vertex. */
function copies(vertex: Vertex): readonly { readonly src: CopyAction['src']; readonly from: Vertex | undefined }[] {
  if (vertex.op.kind !== 'file') return [];
  return vertex.op.actions.flatMap(({ action, secondaryInput }) =>
    action.kind === 'copy' ? [{ src: action.src, from: vertex.inputs[secondaryInput]?.vertex }] : [],
  );
}
