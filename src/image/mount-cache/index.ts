/**
 * A cache mount on its way between machines (docs/cache-mounts.md): what its directory holds, and packs of the contents of
 * its files. Contents are known by digest; a pack that was written once is used as long as enough of it is alive, so that only what
 * changed moves.
 *
 *     mount-index.ts  the document      mount-tag.ts   under which name it lies
 *     scan-mount.ts   a directory read  synced-state.ts  what was in step with which document, kept beside the directory
 */
export * from './mount-index.ts';
export * from './mount-tag.ts';
export { scanMount } from './scan-mount.ts';
export type { ScannedMount } from './scan-mount.ts';
export * from './synced-state.ts';
