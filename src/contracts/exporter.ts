import type { BuildEventSink } from './event.ts';
import type { Digest } from './digest.ts';
import type { Snapshot } from './layer.ts';

/** What an engine hands to exporters: the file system and the image configuration, ready but for `rootfs` and `history`'s times. */
export interface ExportInput {
  readonly snapshot: Snapshot;
  /** OCI image config (image-spec config.md) as JSON value; `rootfs.diff_ids` is filled in by the exporter. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly platform: { readonly os: string; readonly architecture: string; readonly variant?: string | undefined };
  /** Seconds since the epoch from SOURCE_DATE_EPOCH. */
  readonly sourceDateEpoch?: number | undefined;
  /**
   * What is to be said of the image beside it; absent = nothing, and one platform is one plain manifest. Asked once the
   * layers are known.
   *
   * @param diffIds Of the layers, bottom to top.
   */
  readonly attest?: ((diffIds: readonly Digest[]) => Promise<readonly AttestedPredicate[]>) | undefined;
}

/** One thing said of an image: an in-toto predicate. */
export interface AttestedPredicate {
  /** A URL, as `https://slsa.dev/provenance/v1`. */
  readonly type: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export interface ExportContext {
  readonly signal: AbortSignal;
  readonly events: BuildEventSink;
}

/** What a name will lead to. */
export interface ExportedImage {
  /** Of the manifest (or index). */
  readonly digest: Digest;
  /** Undefined for an index: each platform has its own. */
  readonly configDigest: Digest | undefined;
  readonly mediaType: string;
  /** Bytes of the manifest (or index). */
  readonly manifestSize: number;
  /** Compressed bytes of all layers, each once. */
  readonly layersSize: number;
  readonly layers: number;
  readonly names: readonly string[];
}

export interface ExportResult {
  /** Present when an image was made. */
  readonly image?: ExportedImage | undefined;
  /**
   * Gives what was exported its names. Called once all destinations of a build have what they need, so that its names
   * lead to new images everywhere or, when something fails, nowhere.
   */
  readonly publish?: ((context: ExportContext) => Promise<void>) | undefined;
  /**
   * Takes the names back, after `publish`, because another destination refused its own; gives the error with what came
   * of it.
   */
  readonly withdraw?: ((error: unknown, context: ExportContext) => Promise<unknown>) | undefined;
}

/** One destination of a build: `-t`, one `-o`. */
export interface Exporter {
  /** For progress: `exporting to oci image format`. */
  readonly name: string;
  /** @param inputs One a platform, at least one. */
  export(inputs: readonly ExportInput[], context: ExportContext): Promise<ExportResult>;
}
