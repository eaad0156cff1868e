import type { SourceRange } from '../../contracts/index.ts';
import { dockerfileError } from '../errors.ts';
import { checkFlags, type FlagTable } from '../flags.ts';
import { hasArgs, type Statement } from '../statement.ts';
import type { Instruction } from '../types.ts';
import type { BuildError } from '../../contracts/index.ts';

/** What every instruction has. */
export type Base = Pick<Instruction, 'keyword' | 'keywordRange' | 'range' | 'original' | 'flags' | 'comments'>;

export function baseOf(statement: Statement): Base {
  const { keyword, range, flags, comments, line, span } = statement;
  return {
    keyword: keyword.text,
    keywordRange: keyword.range,
    range,
    original: line.text.slice(span.start, span.end),
    flags,
    comments,
  };
}

/** An error of this instruction; `range` absent = the whole of it. */
export function instructionError(
  statement: Statement,
  message: string,
  hint?: string,
  range: SourceRange = statement.range,
): BuildError {
  return dockerfileError(statement.line.file, range, message, hint);
}

/** Errors: `dockerfile` for a flag that the instruction does not take. */
export function takeFlags(statement: Statement, table: FlagTable = {}): void {
  checkFlags(statement.line, statement.name, statement.flags, table);
}

/** Errors: `dockerfile` when there is no argument. */
export function needArgs(statement: Statement, example: string): void {
  if (hasArgs(statement)) return;
  throw instructionError(statement, `${statement.name} requires at least one argument`, `for example: ${example}`);
}
