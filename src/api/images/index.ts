/** The images of the local store: what there is, what they are, forgetting them. */
export { imageHistory, inspectImage } from './inspect.ts';
export type { HistoryItem, ImageOptions } from './inspect.ts';
export { listImages } from './list.ts';
export type { ImageListItem, ListOptions } from './list.ts';
export { removeImage } from './remove.ts';
export type { RemovedImage } from './remove.ts';
