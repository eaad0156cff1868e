/**
 * The cache of a build, written where other machines find it. What it holds and how is docs/cache-export.md.
 *
 *     select-records.ts  which results are worth it     collect.ts  their layers as blobs
 *     documents.ts       config and manifest            push-cache.ts, write-layout.ts, inline.ts  where they go
 */
export { exportCache } from './export-cache.ts';
export type { CacheExportDeps } from './export-cache.ts';
export { inlineCache } from './inline.ts';
export type * from './target.ts';
