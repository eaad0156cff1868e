/** What one `-o` asks for, parsed (`parse-output.ts`). */
import type { LayerCompression } from '../image/index.ts';
import type { Annotation } from './annotations.ts';

/** How an image is made, whatever becomes of it (BuildKit: exptypes/keys.go). */
export interface ImageAttributes {
  /** As written; normalized when they are used. `-t` takes their place where it is given. */
  readonly names: readonly string[];
  /** OCI media types rather than Docker's. */
  readonly ociMediaTypes: boolean;
  readonly compression: LayerCompression;
  readonly compressionLevel: number | undefined;
  /** Also layers that came with a base image. */
  readonly forceCompression: boolean;
  /** Whether SOURCE_DATE_EPOCH also bounds the times in our own layers. */
  readonly rewriteTimestamp: boolean;
  /** Seconds; over the build's own. */
  readonly sourceDateEpoch: number | undefined;
  readonly annotations: readonly Annotation[];
  /** Attestations as entries of an index, as BuildKit has them, or as referrers in the registry. Absent = `index`. */
  readonly attestationStorage?: 'index' | 'referrers' | undefined;
}

export interface ImageOutput extends ImageAttributes {
  readonly type: 'image';
  readonly push: boolean;
  readonly pushByDigest: boolean;
  /** Plain http, or a certificate nobody vouches for: for whoever makes the registry client. */
  readonly insecure: boolean;
  /** Keep it in the local store. */
  readonly store: boolean;
}

export interface ArchiveOutput extends ImageAttributes {
  readonly type: 'oci' | 'docker';
  /** A path, or `-` for stdout. Undefined: into Docker or Podman. */
  readonly dest: string | undefined;
  /** False: a directory. */
  readonly tar: boolean;
}

export interface LocalOutput {
  readonly type: 'local';
  readonly dest: string;
  /** `delete` removes what the result does not hold. */
  readonly mode: 'copy' | 'delete';
  readonly sourceDateEpoch: number | undefined;
  /** Put the result into a directory named by its platform, as `linux_amd64`. Undefined: when there are several. */
  readonly platformSplit: boolean | undefined;
  /** Of the names of attestation files. */
  readonly attestationPrefix?: string | undefined;
}

export interface TarOutput {
  readonly type: 'tar';
  /** A path, or `-` for stdout. */
  readonly dest: string;
  readonly sourceDateEpoch: number | undefined;
  readonly platformSplit: boolean | undefined;
  readonly attestationPrefix?: string | undefined;
}

/** The result stays in the cache. */
export interface CacheOnlyOutput {
  readonly type: 'cacheonly';
}

export type OutputSpec = ImageOutput | ArchiveOutput | LocalOutput | TarOutput | CacheOnlyOutput;
