/**
 * A build cache on its way between machines: what results there are, what finds them, and which layers they are made of.
 * Carried by an artifact of its own (`cache-config.ts`) or inside an image's config (`inline-cache.ts`).
 */
import type { Digest } from '../../contracts/index.ts';

/** A layer of a result. */
export interface PortableLayer {
  readonly diffId: Digest;
  /** Undefined for a layer of a base image that the cache does not hold: whoever builds has resolved that image. */
  readonly blob: PortableBlob | undefined;
  /** Milliseconds; undefined for a layer that came with a base image. */
  readonly created: number | undefined;
  /** The layer as it is in an image that was exported with SOURCE_DATE_EPOCH. */
  readonly bounded?: BoundedLayer | undefined;
}

/** A layer without times later than `epoch`. */
export interface BoundedLayer {
  /** Seconds. */
  readonly epoch: number;
  /** Undefined where the layer itself has no later time. */
  readonly as: { readonly diffId: Digest; readonly blob: PortableBlob } | undefined;
}

export interface PortableBlob {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** How an input counted: by the digest of what was read of it, or as a whole by the key of its record. */
export type PortableInput = { readonly content: Digest } | { readonly record: string };

/** What `solver/` knows of one result; keys in its own form (docs/cache-keys.md). */
export interface PortableRecord {
  /** Names the record. */
  readonly key: string;
  readonly lookup: string;
  readonly definition: string;
  /** Indices into the cache's layers, bottom to top, one chain an output. */
  readonly outputs: readonly (readonly number[])[];
  /** Milliseconds. */
  readonly created: number;
  readonly inputs: readonly PortableInput[];
}

export interface PortableCache {
  readonly layers: readonly PortableLayer[];
  readonly records: readonly PortableRecord[];
}
