import type { BuildEventSink, Digest } from '../../contracts/index.ts';
import type { Descriptor, Document } from '../../image/index.ts';
import type { HostOptions } from '../options.ts';

/** Where an image is read from: the local store, or a registry. */
export interface ImageSource {
  /** As it was written. */
  readonly name: string;
  readonly place: 'store' | 'registry';
  readonly root: { readonly descriptor: Descriptor; readonly bytes: Uint8Array; readonly parsed: Document };
  /** A manifest that `root` refers to. */
  manifest(descriptor: Descriptor): Promise<Uint8Array>;
  blob(descriptor: Descriptor): AsyncIterable<Uint8Array>;
  /** Repositories that have a blob, to be mounted from there. */
  repositoriesOf(digest: Digest): readonly string[];
}

export interface IndexOptions extends HostOptions {
  /** As for a build. */
  readonly mirrors?: readonly string[] | undefined;
}

export interface CreateIndexOptions extends IndexOptions {
  /** Names that the index gets; all in registries, or with `local` in the store. At least one. */
  readonly names: readonly string[];
  /** What is joined: names of the local store or of registries, of one platform or several. At least one. */
  readonly images: readonly string[];
  /** `[index:|manifest-descriptor[PLATFORM]:]KEY=VALUE` */
  readonly annotations?: readonly string[] | undefined;
  /** Keep it in the local store, push nothing. All images must be there. */
  readonly local?: boolean | undefined;
  /** Only say what it would be. */
  readonly dryRun?: boolean | undefined;
  readonly onEvent?: BuildEventSink | undefined;
}

/** One entry of an index. */
export interface IndexEntry {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of the manifest. */
  readonly size: number;
  /** As `linux/arm64`; undefined for what says nothing of one. */
  readonly platform: string | undefined;
  /** For an attestation: the manifest that it is about. */
  readonly attests: Digest | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  /** Full names. */
  readonly names: readonly string[];
  readonly digest: Digest;
  readonly mediaType: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly entries: readonly IndexEntry[];
  /** The document as it is. */
  readonly bytes: Uint8Array;
}
