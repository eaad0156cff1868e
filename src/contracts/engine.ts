import type { BuildError } from './error.ts';
import type { BuildEventSink } from './event.ts';
import type { Digest } from './digest.ts';
import type { Snapshot } from './layer.ts';
import type { Definition, Platform, Vertex } from '../llb/index.ts';

export interface SolveOptions {
  readonly signal: AbortSignal;
  readonly events: BuildEventSink;
  /** Vertices that must run even when a record matches; `all`, or their digests. */
  readonly noCache: 'all' | ReadonlySet<Digest>;
  /** At most this many RUN steps at once; absent = no bound, as in BuildKit. */
  readonly maxParallelRuns?: number | undefined;
  /** Nobody will read bytes of the result (no output was asked for): its trees are enough. */
  readonly treesOnly?: boolean | undefined;
  /** Called with what made the solve fail, when all work has ended; what it returns is thrown. May look at what is known. */
  readonly onFailure?: ((error: BuildError, peek: Peek) => Promise<BuildError>) | undefined;
}

/** Snapshots of edges, without running anything; undefined where nothing is known. Trees only, bytes may be gone. */
export type Peek = (edge: Edge) => Promise<Snapshot | undefined>;

/** An output of a vertex. */
export interface Edge {
  readonly vertex: Digest;
  readonly index: number;
}

/** The state of one solved vertex, for records and reports. */
export interface SolvedVertex {
  readonly digest: Digest;
  readonly cached: boolean;
  readonly key: string;
}

/** What is kept of one vertex, for exports of the cache. Keys as in docs/cache-keys.md. */
export interface SolvedRecord {
  readonly vertex: Digest;
  readonly kind: Vertex['op']['kind'];
  /** Of the record. */
  readonly key: string;
  readonly lookup: string;
  readonly definition: string;
  /** How each input counted: by the digest of what was read of it, or by its record. */
  readonly inputs: readonly { readonly content?: Digest | undefined; readonly record?: string | undefined }[];
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** One an output. Bytes may be gone. */
  readonly snapshots: readonly Snapshot[];
}

export interface SolveResult {
  /** Of the definition's terminal edge. Bytes of its layers can be located. */
  readonly snapshot: Snapshot;
  /** Of other edges, for reports. */
  readonly peek: Peek;
  readonly vertices: readonly SolvedVertex[];
  /** What is kept of the vertices that the result is made of, inputs first; those of which nothing is are left out. */
  records(): Promise<readonly SolvedRecord[]>;
}

/** Solves definitions on this machine (`solver/`) and hands back what they hold. */
export interface EmbeddedEngine {
  readonly name: 'embedded';
  solve(definition: Definition, options: SolveOptions): Promise<SolveResult>;
}

/** One platform of a build: its graph, and the image that is made of the result. */
export interface RemoteTarget {
  readonly definition: Definition;
  /** OCI image config without `rootfs`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly platform: Platform;
  /** Of the image that it stands on: its layers stay as they are when times are rewritten. */
  readonly baseConfig?: Readonly<Record<string, unknown>> | undefined;
  /** Seconds, from SOURCE_DATE_EPOCH. */
  readonly sourceDateEpoch?: number | undefined;
  /** Vertices that another daemon has made: they come from here. */
  readonly moved?: ReadonlyMap<Digest, MovedStage> | undefined;
}

/** What another daemon made of a vertex, as an image in an OCI layout on this machine. */
export interface MovedStage {
  /** Its directory. */
  readonly layout: string;
  /** Of the manifest. */
  readonly digest: Digest;
  /** What progress shows. */
  readonly name: string;
}

export interface RemoteResult {
  /** What the daemon says of the export, by its own keys: `containerimage.digest`, `image.name`, ... */
  readonly response: Readonly<Record<string, string>>;
}

/**
 * Has a BuildKit daemon solve and export (`buildkit/`). Its snapshots stay there, so that there is nothing to hand back
 * but what became of the exports.
 */
export interface RemoteEngine<Resolver> {
  readonly name: 'buildkit';
  /** Which daemon, for people. */
  readonly description: string;
  /**
   * `convert` makes the graphs, with the daemon's own view of images; several targets become one image of several
   * platforms.
   */
  build(convert: (resolver: Resolver) => Promise<readonly RemoteTarget[]>): Promise<RemoteResult>;
  close(): Promise<void>;
}

export type Engine<Resolver = never> = EmbeddedEngine | RemoteEngine<Resolver>;
