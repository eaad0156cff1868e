import type { Digest } from '../../contracts/index.ts';
import type { MountIndex } from '../../image/index.ts';

/** Where cache mounts of other machines lie. */
export type MountPlace =
  | {
      readonly type: 'registry';
      /** Full name, as `docker.io/team/app`. */
      readonly repository: string;
      /** What tags begin with. */
      readonly prefix: string;
      readonly insecure: boolean;
    }
  | {
      readonly type: 'local';
      /** Absolute path of an OCI layout. */
      readonly directory: string;
      readonly prefix: string;
    };

/** One `--cache-mount-from`, parsed. */
export interface MountSource {
  readonly place: MountPlace;
  /** Whose: caches of one scope are not seen by those who ask for another. */
  readonly scope: string;
  /** Which, by the words of the Dockerfile; absent = all. */
  readonly id: string | undefined;
  /** False: a cache that cannot be read fails the build. */
  readonly ignoreError: boolean;
}

/** A cache mount as it lies somewhere. */
export interface FoundMount {
  /** `host/repository:tag`, `oci-layout:///path:tag`. */
  readonly name: string;
  /** Digest of its manifest. */
  readonly digest: Digest;
  /** The index, read when it is needed. */
  index(): Promise<MountIndex>;
  /** A pack's contents, one after the other. */
  contents(pack: MountIndex['packs'][number]): AsyncIterable<Uint8Array>;
}
