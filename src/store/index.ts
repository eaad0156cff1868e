/**
 * The state directory: content-addressed blobs, single files, layers (directory and tree), and one SQLite database of
 * what is known about them. Nothing else in Slipway knows where things lie in it.
 *
 * Not here: what a layer means (`image/`), what a key means (`solver/`), any mount or process.
 */
export { contextId } from './contexts.ts';
export { defaultRoot } from './default-root.ts';
export { storeLayout } from './layout.ts';
export type { StoreLayout } from './layout.ts';
export { openStore } from './open.ts';
export type { StoreOptions } from './open.ts';
export { decodeTree, encodeTree } from './tree-codec.ts';
export { ContentListWriter } from './content-list.ts';
export { compareTreePaths } from './tree-order.ts';
export { fileBytes, hasParents, rowsWithoutDigest } from './tree-questions.ts';
export { TreeTable } from './tree-table.ts';
export type { RowChange } from './tree-table.ts';
export type * from './types.ts';
