/**
 * An index by hand: images that were built on separate machines joined to one name (`slipway index`). A build of several
 * platforms on one machine makes its index itself (`export/`).
 *
 *     names --source.ts--> images of the store or of registries --join.ts--> index --copy.ts--> repository
 */
export { createIndex, inspectIndex } from './create-index.ts';
export type { CreateIndexOptions, ImageIndex, IndexEntry, IndexOptions } from './types.ts';
