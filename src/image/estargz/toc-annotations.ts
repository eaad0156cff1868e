import type { LayerBlob } from '../../contracts/index.ts';

/** On the layer's descriptor: what a snapshotter verifies the table with, and what it tells of sizes. */
export const TOC_DIGEST = 'containerd.io/snapshot/stargz/toc.digest';
export const UNCOMPRESSED_SIZE = 'io.containers.estargz.uncompressed-size';

/** True for a blob that has a table of contents. */
export function isEstargz({ annotations }: Pick<LayerBlob, 'annotations'>): boolean {
  return annotations?.[TOC_DIGEST] !== undefined;
}
