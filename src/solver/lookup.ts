import type { Digest } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { sourceIdentity, type DefinitionFacts } from './definition-keys.ts';
import { makeKey, type KeyPart } from './keys.ts';
import { opIdentity, type OpField } from './op-identity.ts';

/** What a vertex is looked up and recorded under. */
export interface Lookup {
  readonly key: string;
  readonly op: readonly OpField[];
  /** Of each input: the digest of what the op reads of it, where it counts by that. */
  readonly content: readonly (Digest | undefined)[];
  /** Of each input: its record. */
  readonly records: readonly string[];
}

/** Of a source: what it is, nothing else. */
export function sourceLookup(vertex: Vertex, facts: Pick<DefinitionFacts, 'sources' | 'nonce'>): Lookup {
  const key = makeKey('lookup', sourceIdentity(vertex, facts));
  return { key, op: opIdentity(vertex, () => false), content: [], records: [] };
}

/** Of an op: what it does, and what its inputs turned out to be. Both lists are parallel to the inputs. */
export function opLookup(vertex: Vertex, content: readonly (Digest | undefined)[], records: readonly string[]): Lookup {
  const op = opIdentity(vertex, (i) => content[i] !== undefined);
  const edges: KeyPart = vertex.inputs.map(({ index }, i) => {
    const digest = content[i];
    return digest === undefined ? ['record', records[i] ?? '', String(index)] : ['content', digest];
  });
  return { key: makeKey('lookup', [op, edges]), op, content, records };
}
