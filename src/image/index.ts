/**
 * The image room: OCI documents, references, and a layer in its three forms with the ways between them.
 *
 *     blob --decompress.ts--> tar --tar/tokenizer.ts, layer-tree.ts--> tree        (readLayer)
 *     tree --pack/plan.ts, pack/assemble.ts--> tar --compress.ts--> blob           (packLayer)
 *     tar --estargz/--> blob that can be read file by file                         (packLayer, eStargz)
 *     trees of several layers --tree-index.ts, merge.ts, view.ts--> one file system (mergeLayers)
 *
 * *Digest* names a blob as it is stored, *diff ID* the uncompressed tar, *chain ID* a stack of diff IDs. A *layer* here is
 * always one step's changes, never the file system that it leads to: that is a *snapshot*.
 *
 * It talks to no registry and lays out no directory: `registry/` moves blobs, `worker/` makes directories.
 */
export { CACHE_CONFIG, decodeCacheConfig, encodeCacheConfig } from './cache/cache-config.ts';
export { INLINE_CACHE, decodeInlineCache, encodeInlineCache } from './cache/inline-cache.ts';
export type * from './cache/types.ts';
export { boundedLayer, noteBoundedLayer } from './bounded-layer.ts';
export * from './chain-id.ts';
export * from './documents.ts';
export { DEFAULT_LEVELS, LEVEL_MAX, compress, compressorName, layerMediaType } from './compress.ts';
export type { Compression, CompressionType } from './compress.ts';
export { decompress, detectCompression } from './decompress.ts';
export type { CompressionFormat, DecompressOptions } from './decompress.ts';
export { entryTarget, xattrsDigest } from './entry-facts.ts';
export { isForeignLayer, splitUrls, withUrlsNoted } from './foreign.ts';
export type { Subject } from './json.ts';
export { isWhiteoutName, layerNameOf, opaqueName, treePathOf, whiteoutName } from './layer-path.ts';
export type { LayerName } from './layer-path.ts';
export * from './mount-cache/index.ts';
export { LayerTreeBuilder, IMPLICIT_DIRECTORY } from './layer-tree-builder.ts';
export { readLayer } from './layer-tree.ts';
export { readBlob } from './read-blob.ts';
export type { ReadLayer, ReadLayerOptions } from './layer-tree.ts';
export { isBaseLayer, layerTime, noteOwnLayer } from './own-layer.ts';
export { compressionOf, packLayer } from './pack/pack.ts';
export type { LayerCompression, PackOptions } from './pack/options.ts';
export { tarOf } from './pack/tar-of.ts';
export { isEstargz } from './estargz/toc-annotations.ts';
export type { TarStream } from './pack/tar-stream.ts';
export * from './platform.ts';
export * from './reference.ts';
export { readTar } from './tar/read.ts';
export type { TarEntry } from './tar/read.ts';
export { TarTokenizer } from './tar/tokenizer.ts';
export type { TarOptions, TarToken } from './tar/tokenizer.ts';
export { paddingOf } from './tar/types.ts';
export type { TarEntryType, TarHeader } from './tar/types.ts';
export { TAR_END, encodeTarHeader } from './tar/write.ts';
export * from './types.ts';
export { emptySnapshot, mergeLayers, snapshotOf } from './view.ts';
