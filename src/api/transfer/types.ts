import type { BuildEventSink, Digest } from '../../contracts/index.ts';
import type { HostOptions } from '../options.ts';

export interface TransferOptions extends HostOptions {
  /** As for a build. */
  readonly mirrors?: readonly string[] | undefined;
  readonly onEvent?: BuildEventSink | undefined;
}

export interface PullOptions extends TransferOptions {
  /** Of an image of several. Default: this machine's. */
  readonly platform?: string | undefined;
}

export interface PulledImage {
  /** Full name. */
  readonly name: string;
  /** Of what the name leads to: an index or a manifest. */
  readonly digest: Digest;
  /** False when the store had it under this name. */
  readonly isNew: boolean;
  readonly platform: string;
}

export interface PushOptions extends TransferOptions {
  /** Push only the image of this platform. Default: all that there is. */
  readonly platform?: string | undefined;
}

export interface PushedImage {
  /** Full name. */
  readonly name: string;
  readonly digest: Digest;
  /** Bytes of the manifest or index. */
  readonly size: number;
  /** Platforms of the index that are not in the store, so that only the one that is was pushed. */
  readonly left: readonly string[];
}

export interface SaveOptions extends TransferOptions {
  /** Of images of several. Default: this machine's, or the only one. */
  readonly platform?: string | undefined;
  /** `docker`: an archive that `docker load` and everybody else reads (the default); `oci`: an OCI layout with all platforms. */
  readonly format?: 'docker' | 'oci' | undefined;
  /** A path; absent = `stdout`. */
  readonly output?: string | undefined;
  /** Default: the process's. */
  readonly stdout?: NodeJS.WritableStream | undefined;
  /** Base of relative paths; default: the process's. */
  readonly cwd?: string | undefined;
}

export interface LoadOptions extends TransferOptions {
  /** An archive, or the directory of a layout; absent = `stdin`. */
  readonly input?: string | undefined;
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
  readonly cwd?: string | undefined;
}

export interface LoadedImage {
  /** Full name; undefined for an image without one. */
  readonly name: string | undefined;
  /** Digest of the config, of an index that for this machine: docker's image ID. */
  readonly id: Digest;
  readonly digest: Digest;
}
