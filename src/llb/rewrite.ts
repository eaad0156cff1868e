import type { Digest } from '../contracts/index.ts';
import { definition } from './definition.ts';
import { vertex } from './vertex.ts';
import type { Definition, Op, Vertex, VertexInput, VertexMetadata } from './types.ts';

/** A vertex as `rewrite` wants it instead: its op, and its inputs (already rewritten). */
export interface Replacement {
  readonly op: Op;
  readonly inputs: readonly VertexInput[];
  /** Default: that of the vertex. */
  readonly metadata?: VertexMetadata | undefined;
}

export interface Rewritten {
  readonly definition: Definition;
  /** New digests to those of the vertices they stand for. */
  readonly originals: ReadonlyMap<Digest, Digest>;
}

/**
 * The same graph with ops changed: `change` gets each vertex with its inputs rewritten, and says what takes its place, or
 * undefined to keep it. Metadata stays.
 */
export function rewrite(
  graph: Definition,
  change: (vertex: Vertex, inputs: readonly VertexInput[]) => Replacement | undefined,
): Rewritten {
  const done = new Map<Digest, Vertex>();
  const originals = new Map<Digest, Digest>();
  const edge = (input: VertexInput): VertexInput => ({
    vertex: done.get(input.vertex.digest) ?? input.vertex,
    index: input.index,
  });
  for (const old of graph.vertices) {
    const inputs = old.inputs.map(edge);
    const replacement = change(old, inputs);
    const same = replacement === undefined && inputs.every((input, i) => input.vertex === old.inputs[i]?.vertex);
    const next = same
      ? old
      : vertex(replacement?.op ?? old.op, replacement?.inputs ?? inputs, {
          platform: old.platform,
          metadata: replacement?.metadata ?? old.metadata,
        });
    done.set(old.digest, next);
    if (!originals.has(next.digest)) originals.set(next.digest, old.digest);
  }
  return { definition: definition(graph.result === undefined ? undefined : edge(graph.result)), originals };
}
