/**
 * Errors are data: a stable code, a message that says what is wrong, a hint that says what to do, and the place in the
 * user's file. One room prints them (`cli/`); every other room throws {@link BuildError} and nothing else for
 * whatever a user, a registry or a file system can cause.
 */

/** A position in a text file. `line` counts from 1, `column` from 0 (UTF-16 units), as in LLB's `pb.Position`. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** From `start` up to, not including, `end`. */
export interface SourceRange {
  readonly start: Position;
  readonly end: Position;
}

/** A text that ranges point into, kept so that an error can show its excerpt. */
export interface SourceFile {
  /** As the user named it, for display. */
  readonly filename: string;
  readonly text: string;
  readonly language: 'Dockerfile' | 'ignore';
}

/** Where in the user's files something was said. */
export interface SourceLocation {
  readonly file: SourceFile;
  readonly ranges: readonly SourceRange[];
}

/** Stable, documented in docs/errors.md; the exit code of the CLI follows from it. */
export type ErrorCode =
  | 'usage' // wrong flags or arguments
  | 'dockerfile' // the Dockerfile cannot be parsed or used
  | 'ignore-file' // .dockerignore cannot be used
  | 'stage' // unknown, later or self-referring stage
  | 'source-missing' // a COPY/ADD source that is not there
  | 'copy' // a COPY/ADD that cannot be carried out
  | 'run-failed' // a RUN ended with a non-zero exit code
  | 'context' // the build context cannot be read
  | 'image-not-found' // no such image, tag or platform
  | 'registry' // the registry answered with an error or not at all
  | 'auth' // the registry wants other credentials
  | 'digest-mismatch' // bytes are not what their digest or size says
  | 'hostile' // an archive, image or answer that tries to leave its place
  | 'host' // this machine lacks something: runtime, kernel feature, privilege
  | 'disk-full'
  | 'permission'
  | 'store' // the state directory is damaged or of another version
  | 'export' // the destination cannot be written
  | 'unsupported' // understood, not carried out by this version
  | 'builder' // a BuildKit daemon cannot be reached, is gone, or cannot do it
  | 'cancelled'
  | 'internal'; // a bug of ours

export interface BuildErrorInit {
  readonly code: ErrorCode;
  /** What is wrong, in one sentence without a final dot. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string | undefined;
  readonly location?: SourceLocation | undefined;
  /** Further lines to show as they are, for example the last output of a failed RUN. */
  readonly detail?: readonly string[] | undefined;
  /** Exit code of the failed process, for `run-failed`. */
  readonly exitCode?: number | undefined;
  readonly cause?: unknown;
}

/** The one error type that crosses rooms. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly location: SourceLocation | undefined;
  readonly detail: readonly string[];
  readonly exitCode: number | undefined;

  constructor(init: BuildErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.hint = init.hint;
    this.location = init.location;
    this.detail = init.detail ?? [];
    this.exitCode = init.exitCode;
  }

  /** The same error, pointing to `location` unless it points somewhere already. */
  at(location: SourceLocation | undefined): BuildError {
    if (this.location !== undefined || location === undefined) return this;
    return new BuildError({ ...this.toInit(), location });
  }

  toInit(): BuildErrorInit {
    const { code, message, hint, location, detail, exitCode, cause } = this;
    return { code, message, hint, location, detail, exitCode, cause };
  }
}
