/**
 * A build whose result is known from BuildKit. In its texts `@base` is the busybox of test/support/base-image.ts, `@www` a
 * web server's and `@git` a git server's URL (sites.ts), `@ctx` the
 * context's directory, `@dir` that which holds it.
 */
export interface LanguageCase {
  /** The behaviour, as a sentence about Dockerfiles. */
  readonly name: string;
  readonly dockerfile: string;
  /** Files of the context. */
  readonly files?: Readonly<Record<string, string>>;
  /** Run by sh in the context, after the files are there. All times are set to the same moment afterwards. */
  readonly prepare?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the directory. */
  readonly context?: string;
  /** Too new for the front end of today's daemons: recorded from what BuildKit makes of our graph, or known to fail. */
  readonly newer?: true | 'fails';
  /** BuildKit gives files the time of the build, or something else of its own. */
  readonly timeless?: true;
}

/** What BuildKit made of it. */
export type Outcome =
  | {
      /** What the layers above the base changed: path to entry, `-` where it is gone. */
      readonly files: Readonly<Record<string, string>>;
      readonly config: Readonly<Record<string, unknown>>;
      /** Above the base. */
      readonly history: readonly string[];
      readonly layers: number;
    }
  | 'fails';
