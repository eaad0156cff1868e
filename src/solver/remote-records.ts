import type { Digest, LayerId } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { CacheRecord } from '../store/index.ts';
import { scrub, withoutCredentials } from '../progress/index.ts';
import { vertexName } from './names.ts';
import { opIdentity } from './op-identity.ts';
import { describeInputs, type RecordInputs } from './record-inputs.ts';

/** A result that another machine made. Its layers are rows of the store, their bytes somewhere else. */
export interface RemoteRecord {
  readonly key: string;
  readonly lookup: string;
  /** One chain of layers an output. */
  readonly outputs: readonly (readonly LayerId[])[];
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** How each input counted. */
  readonly inputs: readonly ({ readonly content: Digest } | { readonly record: string })[];
}

/** Results of other machines (`--cache-from`), asked when the store has none. Keys are the same everywhere. */
export interface RemoteRecords {
  /** @param key A definition key or a lookup key. */
  find(key: string): Promise<RemoteRecord | undefined>;
}

/**
 * The record as this machine would have kept it. What the op is comes from the vertex that was looked up: the keys say
 * that it is the same, and a cache need not tell everybody what a step was.
 *
 * @returns Undefined for a record that cannot be that of the vertex.
 */
export function recordOf(remote: RemoteRecord, vertex: Vertex, definition: string): CacheRecord | undefined {
  const { key, lookup, outputs, created } = remote;
  if (remote.inputs.length !== (vertex.op.kind === 'source' ? 0 : vertex.inputs.length)) return undefined;
  const content = remote.inputs.map((input) => ('content' in input ? input.content : undefined));
  const records = remote.inputs.map((input) => ('record' in input ? input.record : ''));
  const inputs: RecordInputs = {
    version: 1,
    lookup,
    definition,
    op: opIdentity(vertex, (i) => content[i] !== undefined),
    inputs: describeInputs(vertex, content, records),
  };
  return {
    key,
    outputs,
    created,
    description: withoutCredentials(vertexName(vertex)),
    inputs: JSON.stringify(scrub(inputs)),
  };
}
