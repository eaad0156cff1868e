import type { Digest } from '../contracts/index.ts';
import { withMetadata } from './vertex.ts';
import type { Definition, Vertex, VertexInput, VertexMetadata } from './types.ts';

/**
 * The graph of a result: every vertex it needs, inputs first, in the order in which a depth-first walk meets them.
 * Vertices of one digest are one; the metadata of those met later wins, as in BuildKit (client/llb mergeMetadata).
 */
export function definition(result: VertexInput | undefined): Definition {
  if (result === undefined) return { result, vertices: [] };
  const order: Digest[] = [];
  const found = new Map<Digest, Vertex>();
  const visited = new Set<Vertex>();
  const stack: { readonly vertex: Vertex; next: number }[] = [];
  const enter = (vertex: Vertex): void => {
    if (visited.has(vertex)) return;
    visited.add(vertex);
    stack.push({ vertex, next: 0 });
  };
  enter(result.vertex);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const input = top.vertex.inputs[top.next++];
    if (input !== undefined) {
      enter(input.vertex);
      continue;
    }
    stack.pop();
    const { vertex } = top;
    const before = found.get(vertex.digest);
    if (before === undefined) order.push(vertex.digest);
    found.set(
      vertex.digest,
      before === undefined ? vertex : withMetadata(vertex, mergeMetadata(before.metadata, vertex.metadata)),
    );
  }
  const vertices = order.flatMap((digest) => found.get(digest) ?? []);
  const vertex = found.get(result.vertex.digest) ?? result.vertex;
  return { result: { vertex, index: result.index }, vertices };
}

function mergeMetadata(earlier: VertexMetadata, later: VertexMetadata): VertexMetadata {
  const location =
    earlier.location !== undefined && later.location !== undefined && earlier.location.file === later.location.file
      ? { file: later.location.file, ranges: [...earlier.location.ranges, ...later.location.ranges] }
      : (later.location ?? earlier.location);
  return {
    name: later.name ?? earlier.name,
    description: { ...earlier.description, ...later.description },
    ignoreCache: earlier.ignoreCache === true || later.ignoreCache === true,
    location,
    progressGroup: later.progressGroup ?? earlier.progressGroup,
  };
}
