import type { Digest } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { makeKey, type KeyPart } from './keys.ts';
import { opIdentity } from './op-identity.ts';
import { isLocal } from './source-kind.ts';

/** What has to be asked before keys can be computed. Undefined answers make a vertex unfindable for other builds. */
export interface DefinitionFacts {
  /** Of each source but local ones: what `Worker.sourceKey` said. */
  readonly sources: ReadonlyMap<Digest, string | undefined>;
  /** `Worker.contentKey` of an edge from a local source. */
  localContent(vertex: Vertex, input: number): Digest | undefined;
  /** Stands for what has no identity beyond this solve. */
  readonly nonce: string;
}

/**
 * The definition key of every vertex.
 *
 * @param vertices Inputs first, so that a loop suffices however deep the graph is.
 */
export function definitionKeys(vertices: readonly Vertex[], facts: DefinitionFacts): ReadonlyMap<Digest, string> {
  const keys = new Map<Digest, string>();
  for (const vertex of vertices) {
    if (vertex.op.kind === 'source') {
      keys.set(vertex.digest, makeKey('definition', sourceIdentity(vertex, facts)));
      continue;
    }
    const contents = vertex.inputs.map(({ vertex: input }, i) =>
      isLocal(input) ? facts.localContent(vertex, i) : undefined,
    );
    const edges: KeyPart = vertex.inputs.map(({ vertex: input, index }, i) => {
      const content = contents[i];
      return content === undefined ? ['edge', keys.get(input.digest) ?? '', String(index)] : ['content', content];
    });
    keys.set(vertex.digest, makeKey('definition', [opIdentity(vertex, (i) => contents[i] !== undefined), edges]));
  }
  return keys;
}

/** A source is what the worker says it is; a local one, and one of which nothing is known, is itself in this solve only. */
export function sourceIdentity(vertex: Vertex, facts: Pick<DefinitionFacts, 'sources' | 'nonce'>): KeyPart {
  const key = facts.sources.get(vertex.digest);
  return key === undefined ? ['unknown', vertex.digest, facts.nonce] : [opIdentity(vertex, () => false), key];
}
