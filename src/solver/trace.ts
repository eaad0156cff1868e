import type { Digest } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { OpField } from './op-identity.ts';

/**
 * What became of a vertex. `found`: an earlier result was taken; `shared`: another solve of this process made it
 * meanwhile; `ran`; `refilled`: found, but its bytes were gone and it ran again for them.
 */
export type Outcome = 'found' | 'shared' | 'ran' | 'refilled';

/** What a lookup key was made of. */
export interface LookupTrace {
  readonly key: string;
  readonly op: readonly OpField[];
  /** Of each input: the digest of what was read of it, where it counts by that. */
  readonly content: readonly (Digest | undefined)[];
  /** Of each input: its record. */
  readonly records: readonly string[];
  /** Of a source: what `Worker.sourceKey` said. */
  readonly source?: string | undefined;
}

/** Told what a solve finds out, as it does: a build that fails leaves a record too. */
export interface SolveTrace {
  /** Definition keys of all vertices. */
  keys(keys: ReadonlyMap<Digest, string>): void;
  /** The vertex was not found by its definition. The last one counts. */
  lookup(vertex: Vertex, lookup: LookupTrace): void;
  /** A vertex of which nothing is said was not needed, or not reached. */
  outcome(vertex: Vertex, outcome: Outcome, key: string): void;
}
