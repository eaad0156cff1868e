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
}

export interface ExportContext {
  readonly signal: AbortSignal;
  readonly events: BuildEventSink;
}

export interface ExportResult {
  /** Present when an image was made. */
  readonly image?:
    | {
        /** Of the manifest (or index). */
        readonly digest: Digest;
        readonly configDigest: Digest;
        readonly mediaType: string;
        /** Bytes of manifest. */
        readonly manifestSize: number;
        /** Compressed bytes of all layers. */
        readonly layersSize: number;
        readonly layers: number;
        readonly names: readonly string[];
      }
    | undefined;
}

/** One destination of a build: `-t`, one `-o`. */
export interface Exporter {
  /** For progress: `exporting to oci image format`. */
  readonly name: string;
  export(input: ExportInput, context: ExportContext): Promise<ExportResult>;
}
