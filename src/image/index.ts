/**
 * The image room: OCI documents, references, and a layer in its three forms (tree, tar, compressed blob) with the ways
 * between them. It talks to no registry and lays out no directory: `registry/` moves blobs, `worker/` makes directories.
 */
export * from './chain-id.ts';
export * from './documents.ts';
export type { Subject } from './json.ts';
export * from './platform.ts';
export * from './reference.ts';
export * from './types.ts';
