/**
 * Where the bytes of a build come from: the build context, images (store, OCI layout, registry), URLs, git. It answers
 * with trees and lazy layers; what is done with them is `worker/`, how a registry is spoken to is `registry/`.
 *
 * A *context* is the user's directory, read in place. A *store layer* is a row of the store with whatever form of it is
 * there: tree, directory, blob; missing forms are made when they are asked for. An *image snapshot* is store layers.
 *
 *     sources.ts     which source a vertex means      local/   contexts: the tree on disk, stat cache, hashing, tars
 *     layer.ts       a store layer and its forms      image/   names to manifests, OCI layouts, where blobs are
 *     layer-blob.ts  blob to tree, files out of it    http.ts, git/
 */
export * from './types.ts';
export type { PinKind, Pins } from './pins.ts';
export { createCacheImports } from './cache/imports.ts';
export type { CacheImport, CacheImports, CachedRecord } from './cache/types.ts';
export type * from './cache-mounts/types.ts';
/** Loaded when a step uses a cache mount that may lie elsewhere. */
export const loadCacheMounts = async () => await import('./cache-mounts/index.ts');
export { createSources } from './sources.ts';
export { createContexts } from './local/contexts.ts';
export const loadArchiveReader = async () => await import('./image/archive.ts');
export type { ImportedImage } from './image/archive.ts';
export { describeLayout, layoutBlobFile } from './image/describe-layout.ts';
export type { DescribedLayout } from './image/describe-layout.ts';
