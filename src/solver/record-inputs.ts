import type { Digest } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { OpField } from './op-identity.ts';
import { vertexName } from './names.ts';

/** How one input counted for a record: by the content that was read from it, or as a whole by its own record. */
export interface RecordInput {
  /** What progress called the input's vertex. */
  readonly name: string;
  readonly index: number;
  readonly content?: Digest | undefined;
  readonly record?: string | undefined;
}

/** `CacheRecord.inputs` as a value: enough to say later which part of a step changed. */
export interface RecordInputs {
  readonly version: 1;
  readonly lookup: string;
  readonly definition: string;
  readonly op: readonly OpField[];
  readonly inputs: readonly RecordInput[];
  /** Of a source: what `Worker.sourceKey` said. */
  readonly source?: string | undefined;
}

/** Describes how each input of `vertex` counted. */
export function describeInputs(
  vertex: Vertex,
  content: readonly (Digest | undefined)[],
  records: readonly string[],
): readonly RecordInput[] {
  return vertex.inputs.map(({ vertex: input, index }, i) => {
    const name = vertexName(input);
    const digest = content[i];
    return digest === undefined ? { name, index, record: records[i] } : { name, index, content: digest };
  });
}
