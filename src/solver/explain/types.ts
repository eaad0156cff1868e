/** Recorded builds as explanations read them, and what explanations say. All of it is plain JSON. */
import type { Digest } from '../../contracts/index.ts';
import type { OpField } from '../op-identity.ts';
import type { Outcome } from '../trace.ts';

/** One vertex of a recorded graph: what it was made of. */
export interface GraphStep {
  readonly digest: Digest;
  readonly kind: 'exec' | 'file' | 'merge' | 'diff' | 'build' | 'image' | 'local' | 'source';
  /** What progress called it. */
  readonly name: string;
  /** The instruction as it is written. */
  readonly text?: string | undefined;
  /** Where it stands: `at` counts the steps of the stage from its base. */
  readonly position?: { readonly stage: string; readonly index: number; readonly at: number } | undefined;
  readonly line?: number | undefined;
  /** Definition key; empty when the build failed before it was known. */
  readonly definition: string;
  /** Lookup key and what it was made of; absent when nobody looked that far. */
  readonly lookup?: string | undefined;
  readonly op?: readonly OpField[] | undefined;
  readonly inputs: readonly GraphInput[];
  /** Of a source: what it is (`Worker.sourceKey`), and what it is called. */
  readonly source?: string | undefined;
  readonly identifier?: string | undefined;
  /** Bytes that it added, as far as known. */
  readonly size?: number | undefined;
}

export interface GraphInput {
  /** Index into the graph's steps. */
  readonly step: number;
  readonly index: number;
  /** How it counted: by what was read of it, or as a whole by its record. */
  readonly content?: Digest | undefined;
  readonly record?: string | undefined;
}

/** The graph of a build, inputs first. */
export interface BuildGraph {
  readonly version: 1;
  readonly steps: readonly GraphStep[];
}

/** What became of one step in one build. Parallel to the graph's steps. Times in milliseconds. */
export interface StepRun {
  /** Absent: not needed, or not reached. */
  readonly outcome?: Outcome | 'failed' | undefined;
  /** Key of its record. */
  readonly key?: string | undefined;
  readonly noCache?: true | undefined;
  readonly started?: number | undefined;
  readonly duration?: number | undefined;
  readonly error?: string | undefined;
  /** Bytes that it wrote to its log, and that its transfers moved. */
  readonly output?: number | undefined;
  readonly transferred?: number | undefined;
  /** Bytes that it added, when it ran. */
  readonly size?: number | undefined;
}

/** A build with its graph. */
export interface ExplainedBuild {
  readonly id: string;
  readonly graph: BuildGraph;
  readonly runs: readonly StepRun[];
  /** Declared ARGs and their values. */
  readonly args: Readonly<Record<string, string>>;
}

/** Why a step ran. */
export type Reason =
  /** `--no-cache`, or `--no-cache-filter` for its stage. */
  | { readonly kind: 'no-cache' }
  /** Nothing was built here before. */
  | { readonly kind: 'first-build' }
  /** Earlier builds had no such step. */
  | { readonly kind: 'new-step' }
  /** It was known, but its result is not in the store any more. */
  | { readonly kind: 'pruned' }
  /** It failed, or was stopped, in the build before. */
  | { readonly kind: 'unfinished' }
  /** It was known, but something needed its files, which are not in the store any more. */
  | { readonly kind: 'bytes' }
  | { readonly kind: 'command'; readonly from: string; readonly to: string }
  | {
      readonly kind: 'variable';
      readonly scope: 'ARG' | 'ENV';
      readonly name: string;
      readonly from?: string | undefined;
      readonly to?: string | undefined;
    }
  /** Anything else of the op: user, directory, platform, network, mounts, ... */
  | {
      readonly kind: 'option';
      readonly name: string;
      readonly from?: string | undefined;
      readonly to?: string | undefined;
    }
  | {
      readonly kind: 'file';
      readonly change: FileChange;
      readonly path: string;
      /** What it was read from: `context`, `stage build`, an image. */
      readonly input: string;
      readonly from?: string | undefined;
      readonly to?: string | undefined;
      /** Why it differs there, for what is not a build context. */
      readonly cause?: Reason | undefined;
    }
  /** Content differs, which files is not known (any more). `count`: so many more than are listed. */
  | {
      readonly kind: 'files';
      readonly input: string;
      readonly count?: number | undefined;
      readonly cause?: Reason | undefined;
    }
  | { readonly kind: 'base'; readonly name: string; readonly from: string; readonly to: string }
  | { readonly kind: 'source'; readonly name: string; readonly from: string; readonly to: string }
  /** What it runs on was made anew. */
  | {
      readonly kind: 'parent';
      readonly line?: number | undefined;
      readonly name: string;
      readonly cause?: Reason | undefined;
    }
  /** A step before it is gone from the Dockerfile, or the steps stand in another order. */
  | { readonly kind: 'removed-step'; readonly name: string }
  | { readonly kind: 'order' }
  /** The same as before, but made anew with `--no-cache` since. */
  | { readonly kind: 'replaced' }
  | { readonly kind: 'unknown' };

export type FileChange = 'changed' | 'added' | 'removed' | 'mode' | 'owner' | 'type' | 'target' | 'xattrs';

export interface Explanation {
  /** Index into the graph's steps. */
  readonly step: number;
  readonly name: string;
  readonly line?: number | undefined;
  /** The first is the one to show. */
  readonly reasons: readonly Reason[];
  /** The build it was compared with. */
  readonly against?: string | undefined;
}
