import type { LayerId, SolveResult } from '../../contracts/index.ts';
import type { LayerStep } from '../../export/index.ts';
import type { FrontendResult } from '../../frontend/index.ts';
import { stagePositions } from '../records/stage-positions.ts';

/** Which step made each layer, of those that are still known. */
export async function layerSteps(
  { definition, stages }: FrontendResult,
  { peek }: SolveResult,
): Promise<ReadonlyMap<LayerId, LayerStep>> {
  const positions = stagePositions(stages);
  const steps = new Map<LayerId, LayerStep>();
  // Inputs come first: a layer belongs to the first that has it.
  for (const { digest, op, metadata } of definition.vertices) {
    const snapshot = await peek({ vertex: digest, index: 0 });
    if (snapshot === undefined) continue;
    const own = op.kind === 'source' ? snapshot.layers : snapshot.layers.slice(-1);
    const line = metadata.location?.ranges[0]?.start.line;
    const stage = stages.find(({ base }) => base?.vertex.digest === digest)?.name;
    const step: LayerStep = {
      name: metadata.name ?? (op.kind === 'source' ? `FROM ${op.identifier.replace(/^[a-z-]+:\/\//, '')}` : op.kind),
      stage: positions.get(digest)?.stage ?? stage,
      line: line === undefined ? undefined : `${metadata.location?.file.filename ?? 'Dockerfile'}:${line}`,
    };
    for (const { id } of own) if (!steps.has(id)) steps.set(id, step);
  }
  return steps;
}
