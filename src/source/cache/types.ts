import type { Digest, LayerId } from '../../contracts/index.ts';

/** One `--cache-from`, parsed. */
export type CacheImport = (
  | {
      readonly type: 'registry';
      /** Full name, as `docker.io/team/app`. */
      readonly repository: string;
      /** Tag or digest. */
      readonly reference: string;
      readonly insecure: boolean;
    }
  | {
      readonly type: 'local';
      /** Absolute path of an OCI layout. */
      readonly src: string;
      readonly tag: string;
      readonly digest: Digest | undefined;
    }
) & {
  /** False: a cache that cannot be read fails the build. */
  readonly ignoreError: boolean;
};

/** A result that a cache offers; its layers are rows of the store by now. */
export interface CachedRecord {
  readonly key: string;
  readonly lookup: string;
  readonly outputs: readonly (readonly LayerId[])[];
  /** Milliseconds. */
  readonly created: number;
  /** Of each input, how it counted: the digest of what was read of it, or its record. */
  readonly inputs: readonly ({ readonly content: Digest } | { readonly record: string })[];
}

/** What all caches of a build offer, read when the first of it is asked for. */
export interface CacheImports {
  /**
   * @param key Of any kind.
   * @throws BuildError only for a cache that is insisted upon.
   */
  find(key: string): Promise<CachedRecord | undefined>;
  /** Reads the caches now. */
  load(): Promise<void>;
}
