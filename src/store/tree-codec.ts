import type { Tree } from '../contracts/index.ts';

export function encodeTree(tree: Tree): Uint8Array {
  throw new Error(`not yet: ${tree.size}`);
}

/** Errors: `store` when the bytes are damaged or of another version. */
export function decodeTree(bytes: Uint8Array): Tree {
  throw new Error(`not yet: ${bytes.length}`);
}
