/**
 * What a BuildKit daemon calls our vertices. It decodes every op, encodes it anew, and names it by those bytes: Go's
 * encoder puts members of a oneof after all other fields (google.golang.org/protobuf, order.LegacyFieldOrder).
 */
import type { Digest } from '../contracts/index.ts';
import { decode, encode } from './codec.ts';
import type { Field, MessageType } from './codec.ts';
import { Op as OpMessage } from './gen/ops.ts';
import type { PbInput, PbOp } from './gen/ops.ts';
import type { Definition, Vertex } from './types.ts';
import { digestOf } from './vertex.ts';

/**
 * The daemon's digest of each vertex to ours. Daemons before BuildKit 0.17, whose encoder keeps to the numbers of the
 * fields, use ours.
 */
export function daemonDigests(definition: Definition): ReadonlyMap<Digest, Digest> {
  const theirs = new Map<Digest, Digest>();
  for (const vertex of definition.vertices) theirs.set(vertex.digest, digestOf(encodeAsGo(vertex, theirs)));
  return new Map(Array.from(theirs, ([ours, daemon]) => [daemon, ours]));
}

function encodeAsGo(vertex: Vertex, theirs: ReadonlyMap<Digest, Digest>): Uint8Array {
  const op = decode(OpMessage, vertex.bytes);
  const inputs = vertex.inputs.map(({ vertex: input, index }): PbInput => ({
    digest: theirs.get(input.digest) ?? input.digest,
    index: BigInt(index),
  }));
  const message: PbOp = { ...op, inputs };
  return encode(oneofsLast(OpMessage), message);
}

const tables = new Map<MessageType<unknown>, MessageType<unknown>>();

/** The same message with the fields in Go's order; the codec writes them as they stand in the table. */
function oneofsLast<T>(type: MessageType<T>): MessageType<T> {
  const known = tables.get(type);
  if (known !== undefined) return known as MessageType<T>;
  const ordered = [
    ...type.fields.filter(({ oneof }) => oneof === undefined),
    ...type.fields.filter(({ oneof }) => oneof !== undefined),
  ].map((field): Field => {
    const { type: of } = field;
    return of === undefined ? field : { ...field, type: () => oneofsLast(of()) };
  });
  const table: MessageType<T> = { name: type.name, fields: ordered };
  tables.set(type, table);
  return table;
}
