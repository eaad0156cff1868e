/**
 * LLB, BuildKit's build graph: ops, their deterministic bytes and digests, whole definitions on the wire and back, and
 * printing. It knows nothing of Dockerfiles (`frontend/`) nor of how a graph is solved (`solver/`).
 *
 * A *vertex* is an op with its inputs, named by the digest of its bytes. An *edge* (`VertexInput`) is one output of a
 * vertex. A *definition* is a result edge and every vertex that it needs.
 */
export { decode, encode } from './codec.ts';
export type { MessageType } from './codec.ts';
export { capabilities } from './capabilities.ts';
export { daemonDigests } from './daemon-digests.ts';
export { definition } from './definition.ts';
export { marshal } from './marshal.ts';
export { printDot, printJson, printMermaid } from './print.ts';
export { rewrite } from './rewrite.ts';
export type { Replacement, Rewritten } from './rewrite.ts';
export * from './types.ts';
export { unmarshal } from './unmarshal.ts';
export { mountOutput, vertex, withMetadata } from './vertex.ts';
export type { VertexOptions } from './vertex.ts';
