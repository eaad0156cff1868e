/**
 * Cache mounts for other machines (docs/cache-mounts.md).
 *
 *     plan-packs.ts  which packs stay, how new files are grouped     read-files.ts  files into packs
 *     save.ts        what has changed, packed and sent
 */
export { saveMount } from './save.ts';
export type { SaveDeps } from './save.ts';
export type * from './types.ts';
