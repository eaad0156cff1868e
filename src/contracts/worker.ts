import type { Digest } from './digest.ts';
import type { BuildEventSink } from './event.ts';
import type { LayerId, Snapshot } from './layer.ts';
import type { SourceLocation } from './error.ts';
import type { Vertex } from '../llb/index.ts';

/** What the solver hands to the worker with each call. */
export interface WorkContext {
  readonly signal: AbortSignal;
  /** Output, statuses and warnings of the vertex; already bound to its digest by the solver where events need it. */
  readonly events: BuildEventSink;
  readonly location: SourceLocation | undefined;
  /** `--no-cache`: the vertex runs although a result may be known, and its cache mounts start empty, as BuildKit prunes them. */
  readonly anew?: boolean | undefined;
}

/**
 * Carries out one vertex on this machine. The solver decides what runs and under which key; the worker knows how.
 * Implemented by `worker/`; the solver sees nothing else of it.
 */
export interface Worker {
  /**
   * The identity of a source vertex, to be mixed into cache keys: the chain ID of an image's layers, a git commit, the
   * digest and metadata of a URL. Undefined for `local://` sources, which are keyed by content per edge. May ask a
   * registry; never pulls layers.
   */
  sourceKey(vertex: Vertex, context: WorkContext): Promise<string | undefined>;

  /**
   * The digest of all that the vertex can read from input `index`: the selected paths with type, mode, owner, xattrs,
   * link text and content, never times. Undefined where the op's result depends on the input as a whole (the root of an
   * exec or file op): then the input's own key counts. Corresponds to BuildKit's content-based selectors
   * (solver/llbsolver/ops/file.go, exec.go). Errors: `source-missing`, with `.dockerignore` explanations.
   */
  contentKey(vertex: Vertex, index: number, input: Snapshot, context: WorkContext): Promise<Digest | undefined>;

  /** The vertex will probably run soon: what takes a while to get ready may begin. Its failure shows with `run`. */
  expect?(vertex: Vertex): void;

  /**
   * Carries out the vertex; `inputs` are parallel to `vertex.inputs`. Returns one snapshot an output.
   * New layers are in the store when it returns, their bytes where `Layer.locate` says.
   */
  run(vertex: Vertex, inputs: readonly Snapshot[], context: WorkContext): Promise<readonly Snapshot[]>;

  /**
   * The snapshot of layers that an earlier build left in the store. Undefined when one of them is gone. `virtual` when
   * a layer is only a tree: its bytes come back by calling `run` with the same inputs again.
   */
  open(layers: readonly LayerId[]): Promise<{ readonly snapshot: Snapshot; readonly virtual: boolean } | undefined>;
}
