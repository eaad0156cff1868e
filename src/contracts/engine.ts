import type { BuildError } from './error.ts';
import type { BuildEventSink } from './event.ts';
import type { Digest } from './digest.ts';
import type { Snapshot } from './layer.ts';
import type { Definition } from '../llb/index.ts';

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

export interface SolveResult {
  /** Of the definition's terminal edge. Bytes of its layers can be located. */
  readonly snapshot: Snapshot;
  /** Of other edges, for reports. */
  readonly peek: Peek;
  readonly vertices: readonly SolvedVertex[];
}

/** Solves a definition: on this machine (`solver/`), or on a BuildKit daemon (`buildkit/`). */
export interface Engine {
  readonly name: 'embedded' | 'buildkit';
  solve(definition: Definition, options: SolveOptions): Promise<SolveResult>;
}
