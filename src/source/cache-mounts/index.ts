/**
 * Cache mounts of other machines (docs/cache-mounts.md).
 *
 *     find-mount.ts   where it lies, its index and packs     plan-merge.ts   what of it has to come over
 *     write-mount.ts  doing that, safely                     restore.ts      all of it together
 */
export { findMount, mountName } from './find-mount.ts';
export { restoreMount } from './restore.ts';
export type { RestoreOptions } from './restore.ts';
export type * from './types.ts';
