import type { Digest } from '../../contracts/index.ts';
import type { StageInfo } from '../../frontend/index.ts';
import type { Vertex, VertexInput } from '../../llb/index.ts';
import type { GraphStep } from '../../solver/index.ts';

/**
 * Where each vertex stands: in which stage, the how manieth from its base. What two stages share belongs to the first;
 * sources and files from here-documents belong to none.
 *
 * @param label Of a stage; absent = its name.
 */
export function stagePositions(
  stages: readonly StageInfo[],
  label: (stage: StageInfo) => string = ({ name }) => name,
): ReadonlyMap<Digest, NonNullable<GraphStep['position']>> {
  const positions = new Map<Digest, NonNullable<GraphStep['position']>>();
  for (const stage of stages) {
    const chain: Vertex[] = [];
    let edge = stage.result;
    while (edge !== undefined && !isSame(edge, stage.base)) {
      chain.push(edge.vertex);
      edge = rootOf(edge.vertex);
    }
    for (const [at, { digest }] of chain.reverse().entries()) {
      if (!positions.has(digest)) positions.set(digest, { stage: label(stage), index: stage.index, at });
    }
  }
  return positions;
}

function isSame(a: VertexInput, b: VertexInput | undefined): boolean {
  return b !== undefined && a.vertex.digest === b.vertex.digest && a.index === b.index;
}

/** What a vertex was made on top of. */
export function rootOf({ op, inputs }: Vertex): VertexInput | undefined {
  switch (op.kind) {
    case 'exec':
      return inputs[op.mounts.find(({ dest }) => dest === '/')?.input ?? -1];
    case 'file': {
      // Actions may stand on each other: the first that stands on an input.
      const action = op.actions.find(({ input }) => input >= 0 && input < inputs.length);
      return inputs[action?.input ?? -1];
    }
    case 'merge':
      return inputs[op.inputs[0] ?? -1];
    case 'diff':
      return inputs[op.lower];
    case 'source':
    case 'build':
      return undefined;
  }
}
