/** Images on their way: between the local store, registries and archives. */
export { loadImages } from './load.ts';
export { pullImage } from './pull.ts';
export { pushImage } from './push.ts';
export { saveImages } from './save.ts';
export { tagImage } from './tag.ts';
export type * from './types.ts';
