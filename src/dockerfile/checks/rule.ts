import type { SourceRange } from '../../contracts/index.ts';
import type { Word } from '../types.ts';

/** How much a finding matters; the exit code of `slipway check` follows from the worst. */
export type Severity = 'error' | 'warning' | 'info';

/** A rule as data: what the documentation, the directives and every output form are made from. */
export interface RuleInfo {
  /** Stable; what `# check=skip=` names. Names of BuildKit's rules are BuildKit's. */
  readonly name: string;
  readonly severity: Severity;
  /** What is asked for, in one sentence without a final dot. */
  readonly description: string;
  /** BuildKit's rules run in every build, ours in checks only. */
  readonly origin: 'buildkit' | 'slipway';
  /** `off`: runs when `experimental=` names it only. */
  readonly default: 'on' | 'off';
  /** `--fix` repairs what it finds, where that is safe. */
  readonly fixes?: true;
  readonly doc: {
    /** Why, and what to do: Markdown, a few sentences. */
    readonly why: string;
    /** A Dockerfile that the rule fires on. */
    readonly bad: string;
    /** The same, right. */
    readonly good: string;
    /** Lines of .dockerignore that the example needs. */
    readonly ignore?: readonly string[];
    /** Names in the context directory that the example needs. */
    readonly contextNames?: readonly string[];
    /** Platform of the base image, for the one rule that looks at it. */
    readonly basePlatform?: string;
  };
}

/** A rule that looks at `Input` and reports. */
export interface Rule<Input> extends RuleInfo {
  check(input: Input): Iterable<Report>;
}

/** Where a report points, and the comments whose `# check=` speaks for that place. */
export interface Place {
  readonly range: SourceRange;
  /** Comment lines directly above the instruction. */
  readonly comments: readonly Word[];
}

/** What a rule found. */
export interface Report {
  /** What is wrong here, in one sentence without a final dot. */
  readonly message: string;
  /** What to do about it; may have several lines. */
  readonly hint?: string | undefined;
  readonly place: Place;
  /** More exact than `place.range`, where a part of the instruction is meant. */
  readonly range?: SourceRange | undefined;
  /** The repair, where it is certain: changes no result of a build. */
  readonly edits?: readonly TextEdit[] | undefined;
  /** Text that must not be shown: a secret. */
  readonly hidden?: readonly SourceRange[] | undefined;
}

/** Replaces a part of the file; an empty range inserts. */
export interface TextEdit {
  readonly range: SourceRange;
  readonly text: string;
}

/** A report with its rule. */
export interface Finding extends Omit<Report, 'range'> {
  readonly rule: RuleInfo;
  readonly range: SourceRange;
}
