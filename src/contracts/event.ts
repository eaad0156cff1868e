import type { Digest } from './digest.ts';
import type { SourceLocation } from './error.ts';

/** Milliseconds since the epoch, with fractions. */
export type Time = number;

/**
 * The one stream of what a build does; tty, plain, rawjson, records and reports are all made from it. The shapes follow
 * BuildKit's StatusResponse (api/services/control/control.proto), so that both engines speak it.
 */
export type BuildEvent =
  | { readonly type: 'engine'; readonly engine: 'embedded' | 'buildkit'; readonly detail: string }
  /** A later one of the same digest replaces the earlier. */
  | {
      readonly type: 'vertex';
      readonly digest: Digest;
      readonly inputs: readonly Digest[];
      /** As BuildKit prints it: `[build 2/3] COPY app.go .`, `[internal] load build definition from Dockerfile`. */
      readonly name: string;
      readonly started?: Time | undefined;
      readonly completed?: Time | undefined;
      readonly cached?: boolean | undefined;
      readonly error?: string | undefined;
      readonly location?: SourceLocation | undefined;
    }
  /** Progress inside a vertex: a download, an extraction, a push. `total` 0 = unknown; bytes unless the name says otherwise. */
  | {
      readonly type: 'status';
      readonly vertex: Digest;
      readonly id: string;
      readonly name: string;
      readonly current: number;
      readonly total: number;
      readonly timestamp: Time;
      readonly started?: Time | undefined;
      readonly completed?: Time | undefined;
    }
  | {
      readonly type: 'log';
      readonly vertex: Digest;
      readonly stream: 1 | 2;
      readonly data: Uint8Array;
      readonly timestamp: Time;
    }
  | {
      readonly type: 'warning';
      readonly vertex?: Digest | undefined;
      /** Rule name for checks, as `StageNameCasing`. */
      readonly rule?: string | undefined;
      readonly message: string;
      readonly hint?: string | undefined;
      readonly url?: string | undefined;
      readonly location?: SourceLocation | undefined;
    }
  /** At the end, one a stage. Bytes are uncompressed; `estimated` when a base was never pulled (compressed size counted). */
  | {
      readonly type: 'stage';
      readonly name: string;
      readonly builtBytes: number;
      /** Undefined where a daemon does not tell. */
      readonly shippedBytes: number | undefined;
      readonly estimated: boolean;
      readonly final: boolean;
    }
  /** At the end: the image. */
  | {
      readonly type: 'image';
      readonly digest: Digest;
      readonly names: readonly string[];
      /** Compressed bytes of the layers, and how many; undefined where a daemon has them and does not say. */
      readonly size: number | undefined;
      readonly layers: number | undefined;
    };

export type BuildEventSink = (event: BuildEvent) => void;
