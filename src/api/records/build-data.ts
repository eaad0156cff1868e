import type { Digest } from '../../contracts/index.ts';
import type { BuildRecord } from '../../progress/index.ts';
import type { StepRun } from '../../solver/index.ts';

/** What was asked of a build, as far as it helps to tell builds apart. */
export interface BuildOptionsRecord {
  /** Absolute path; `-` for standard input. */
  readonly context: string;
  readonly dockerfile?: string | undefined;
  readonly target?: string | undefined;
  readonly platform: string;
  readonly tags: readonly string[];
  readonly noCache?: true | undefined;
}

/** The line of a build in a list. */
export interface BuildSummary extends BuildOptionsRecord {
  readonly version: 1;
  readonly result: 'done' | 'failed' | 'cancelled';
  /** Milliseconds. */
  readonly duration: number;
  /** Steps that ran, and that were found. */
  readonly ran: number;
  readonly cached: number;
  readonly image?: Digest | undefined;
}

/** The rest of a record. Its graph is a row of its own. */
export interface BuildData {
  readonly version: 1;
  readonly options: BuildOptionsRecord;
  /** Declared ARGs and their values. */
  readonly args: Readonly<Record<string, string>>;
  /** Parallel to the graph's steps. */
  readonly runs: readonly StepRun[];
  /** Work that is no step: loading files, asking registries, exporting. */
  readonly others: readonly {
    readonly name: string;
    readonly started?: number | undefined;
    readonly duration?: number | undefined;
    readonly error?: string | undefined;
    readonly transferred?: number | undefined;
  }[];
  readonly warnings: BuildRecord['warnings'];
  readonly stages: BuildRecord['stages'];
  readonly image?: BuildRecord['image'];
  readonly engine?: BuildRecord['engine'];
  readonly error?: { readonly code: string; readonly message: string } | undefined;
}
