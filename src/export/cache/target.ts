import type { Snapshot, SolvedRecord } from '../../contracts/index.ts';
import type { CompressionType } from '../../image/index.ts';

/** How much of a build goes into its cache: what its result is made of, or all. */
export type CacheMode = 'min' | 'max';

/** One `--cache-to`, parsed. */
export type CacheTarget = RegistryCache | LocalCache | InlineCache;

/** How a cache is written (BuildKit: cache/remotecache). */
export interface CacheForm {
  readonly mode: CacheMode;
  /** One image manifest; else an index, as BuildKit wrote it before 0.13. */
  readonly imageManifest: boolean;
  /** OCI media types rather than Docker's. */
  readonly ociMediaTypes: boolean;
  readonly compression: CompressionType;
  readonly compressionLevel: number | undefined;
  /** Also layers that are packed otherwise already. */
  readonly forceCompression: boolean;
  /** False: a cache that cannot be written fails the build. */
  readonly ignoreError: boolean;
}

export interface RegistryCache extends CacheForm {
  readonly type: 'registry';
  /** Full name, as `docker.io/team/app`. */
  readonly repository: string;
  readonly tag: string;
  readonly insecure: boolean;
}

export interface LocalCache extends CacheForm {
  readonly type: 'local';
  /** Absolute path of an OCI layout, made where it is not there. */
  readonly dest: string;
  readonly tag: string;
  /** Remove what the layout held and nothing in it names any more. */
  readonly reset: boolean;
}

/** In the config of the image that is exported. */
export interface InlineCache {
  readonly type: 'inline';
}

/** What a cache is made of: one solve, of one platform. */
export interface CachedBuild {
  readonly records: readonly SolvedRecord[];
  readonly result: Snapshot;
  /** SOURCE_DATE_EPOCH of the images that were made of it, seconds. */
  readonly epoch?: number | undefined;
}
