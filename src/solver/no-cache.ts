import type { Digest } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';

export type NoCache = 'all' | ReadonlySet<Digest>;

/** Whether the vertex must run although it is known. */
export function isNoCache(noCache: NoCache, { digest, metadata }: Vertex): boolean {
  return noCache === 'all' || noCache.has(digest) || metadata.ignoreCache === true;
}

/** Vertices that a definition key cannot stand for, as they or something below them must run. */
export function ignoringCache(vertices: readonly Vertex[], noCache: NoCache): ReadonlySet<Digest> {
  const ignoring = new Set<Digest>();
  for (const vertex of vertices) {
    if (isNoCache(noCache, vertex) || vertex.inputs.some((input) => ignoring.has(input.vertex.digest))) {
      ignoring.add(vertex.digest);
    }
  }
  return ignoring;
}
