import type { SourceRange } from '../contracts/index.ts';
import { dockerfileError } from './errors.ts';
import { splitFlags } from './flags.ts';
import { maybeArray, type MaybeArray } from './json-array.ts';
import { rangeOf, wordOf, type LogicalLine } from './lines.ts';
import { trimSpan, wordEnd, type Span } from './space.ts';
import type { Flag, Heredoc, Word } from './types.ts';

/** An instruction cut into keyword, flags and arguments; not typed yet. */
export interface Statement {
  readonly line: LogicalLine;
  /** The instruction within the line: a trigger of ONBUILD does not begin at 0. */
  readonly span: Span;
  readonly keyword: Word;
  /** The keyword in upper case. */
  readonly name: string;
  readonly flags: readonly Flag[];
  /** What follows the flags, without white space around it; empty when there is nothing. */
  readonly args: Span;
  readonly escape: string;
  readonly heredocs: readonly Heredoc[];
  /** Heredoc bodies included. */
  readonly range: SourceRange;
  readonly comments: readonly Word[];
}

/** Cuts a logical line, or the trigger within one, into keyword, flags and arguments. */
export function cutStatement(
  line: LogicalLine,
  within: Span,
  escape: string,
  comments: readonly Word[] = [],
): Statement {
  const { text } = line;
  const span = trimSpan(text, within);
  const end = wordEnd(text, span);
  const keyword = wordOf(line, { start: span.start, end });
  const { flags, rest } = splitFlags(line, { start: end, end: span.end }, escape);
  return {
    line,
    span,
    keyword,
    name: keyword.text.toUpperCase(),
    flags,
    args: trimSpan(text, rest),
    escape,
    heredocs: [],
    range: rangeOf(line, span),
    comments,
  };
}

/** The text of the arguments. */
export function argsText(statement: Statement): string {
  return statement.line.text.slice(statement.args.start, statement.args.end);
}

/** Whether the statement has any argument. */
export function hasArgs(statement: Statement): boolean {
  return statement.args.end > statement.args.start;
}

/** The arguments as one word. */
export function argsWord(statement: Statement): Word {
  return wordOf(statement.line, statement.args);
}

/**
 * The arguments as JSON array, if they are one.
 * Errors: `dockerfile` for an array with something other than strings in it.
 */
export function argsArray(
  statement: Statement,
  span: Span = statement.args,
): Exclude<MaybeArray, { kind: 'not-strings' }> {
  const array = maybeArray(statement.line.text, span);
  if (array.kind !== 'not-strings') return array;
  throw dockerfileError(
    statement.line.file,
    rangeOf(statement.line, span),
    `the JSON form of ${statement.name} takes strings only`,
    'put every item into double quotes',
  );
}

/** Whether bodies of heredocs may follow: RUN, COPY, ADD and ONBUILD of them, not in JSON form. */
export function takesHeredocs(statement: Statement): boolean {
  if (statement.name === 'ONBUILD') {
    const trigger = cutStatement(statement.line, statement.args, statement.escape);
    return trigger.name !== 'ONBUILD' && takesHeredocs(trigger);
  }
  if (statement.name !== 'RUN' && statement.name !== 'COPY' && statement.name !== 'ADD') return false;
  return argsArray(statement).kind === 'none';
}
