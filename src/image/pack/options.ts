import type { GrowingBlob } from '../../store/index.ts';
import type { CompressionType } from '../compress.ts';

/** eStargz is gzip that can be read file by file: a layer of its own (`estargz/`). */
export type LayerCompression = CompressionType | 'estargz';

export interface PackOptions {
  readonly compression: LayerCompression;
  /** Default `DEFAULT_LEVELS`; a blob of another level that is there already is good too, unless this is set. */
  readonly level?: number | undefined;
  /** Seconds: later modification times become this (SOURCE_DATE_EPOCH). Never touches layers that came as a blob. */
  readonly epoch?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * A blob begins to be written that nobody can have by another way: its layer was never packed before, and its times are
   * its own. With the bytes that its tar will have, about. Not of eStargz.
   */
  readonly onNewBlob?: ((blob: GrowingBlob, size: number) => void) | undefined;
  /** Bytes of tar done, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}
