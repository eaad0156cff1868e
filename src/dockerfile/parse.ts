import type { SourceFile } from '../contracts/index.ts';
import { readDirectives, type DirectiveBlock } from './directives.ts';
import { dockerfileError } from './errors.ts';
import { readHeredocs } from './heredoc.ts';
import { typeStatement } from './instructions/index.ts';
import {
  indentOf,
  isTooLong,
  joinLines,
  lineRange,
  MAX_LINE_BYTES,
  nextLine,
  singleLine,
  type LineCursor,
  type LogicalLine,
  type PhysicalLine,
} from './lines.ts';
import { cutStatement, takesHeredocs, type Statement } from './statement.ts';
import type {
  ArgInstruction,
  Directive,
  Dockerfile,
  FromInstruction,
  Instruction,
  ParseWarning,
  Stage,
  Word,
} from './types.ts';

export interface ParseOptions {
  /** As the user named it, for messages; absent = `Dockerfile`. */
  readonly filename?: string | undefined;
}

/**
 * Parses a whole Dockerfile as BuildKit 0.32 does (frontend/dockerfile/parser and instructions).
 *
 * Errors: `dockerfile` with the place and a hint, for whatever BuildKit refuses before it knows variables; the first one
 * found. Nothing else is thrown, whatever the text.
 */
export function parseDockerfile(text: string, options: ParseOptions = {}): Dockerfile {
  const file: SourceFile = { filename: options.filename ?? 'Dockerfile', text, language: 'Dockerfile' };
  const block = readDirectives(file);
  const { statements, warnings } = readStatements(file, block);
  const globalArgs: ArgInstruction[] = [];
  const stages: Stage[] = [];
  let current: { from: FromInstruction; instructions: Instruction[] } | undefined;
  const closeStage = (): void => {
    if (current === undefined) return;
    const { from, instructions } = current;
    const end = (instructions.at(-1) ?? from).range.end;
    stages.push({
      index: stages.length,
      name: from.as?.text.toLowerCase(),
      from,
      instructions,
      range: { start: from.range.start, end },
    });
  };
  const syntax = block.directives.find(({ name }) => name === 'syntax');
  for (const statement of statements) {
    if (syntax !== undefined) refuseOtherFrontEnd(file, syntax, statement);
    const instruction = typeStatement(statement);
    if (instruction.name === 'FROM') {
      closeStage();
      current = { from: instruction, instructions: [] };
    } else if (current !== undefined) current.instructions.push(instruction);
    else if (instruction.name === 'ARG') globalArgs.push(instruction);
    else {
      throw dockerfileError(
        file,
        instruction.range,
        `${instruction.name} stands before the first FROM`,
        'begin with FROM image; only ARG may come before it',
      );
    }
  }
  closeStage();
  if (stages.length === 0) {
    throw dockerfileError(file, globalArgs[0]?.range, 'the Dockerfile has no FROM', 'add FROM image, or FROM scratch');
  }
  return { file, directives: block.directives, escape: block.escape, globalArgs, stages, warnings };
}

/**
 * Parses the text of one instruction: a trigger that ONBUILD left in an image. The escape character is `\`, whatever the
 * Dockerfile had that the trigger came from, as in BuildKit.
 *
 * Errors: `dockerfile` also for FROM and for more than one instruction.
 */
export function parseInstruction(text: string, options: ParseOptions = {}): Instruction {
  const file: SourceFile = { filename: options.filename ?? 'ONBUILD', text, language: 'Dockerfile' };
  const { statements } = readStatements(file, readDirectives(file));
  const [first, second] = statements;
  if (first === undefined || second !== undefined) {
    throw dockerfileError(file, second?.range, `${JSON.stringify(text)} is not one instruction`);
  }
  const instruction = typeStatement(first);
  if (instruction.name !== 'FROM') return instruction;
  throw dockerfileError(file, instruction.range, 'FROM cannot stand here', 'a trigger is any instruction but FROM');
}

/** A file for another front end fails at its first line; say why. */
function refuseOtherFrontEnd(file: SourceFile, syntax: Directive, statement: Statement): void {
  if (!/^(\/\/|\{)/.test(statement.keyword.text)) return;
  throw dockerfileError(
    file,
    syntax.range,
    `the file is written for the front end ${syntax.value}, not in the Dockerfile language`,
    'Slipway reads Dockerfiles only and never runs a front end image',
  );
}

function readStatements(
  file: SourceFile,
  block: DirectiveBlock,
): { statements: Statement[]; warnings: ParseWarning[] } {
  const cursor: LineCursor = { text: file.text, offset: 0, number: 0 };
  const statements: Statement[] = [];
  const warnings: ParseWarning[] = [];
  let comments: Word[] = [];
  for (let line = readLine(file, cursor); line !== undefined; line = readLine(file, cursor)) {
    const indent = indentOf(line.text);
    const isBlank = indent === line.text.length;
    const comment = commentIn(line, indent);
    if (line.number <= block.lastLine || isBlank || comment?.text === '') comments = [];
    else if (comment !== undefined) comments.push(comment);
    else {
      const logical = readLogical(file, cursor, line, indent, block.escape, warnings);
      statements.push(readStatement(logical, cursor, block.escape, comments));
      comments = [];
    }
  }
  if (statements.length === 0) {
    const what = file.text.trim() === '' ? 'the file is empty' : 'the file has no instructions';
    throw dockerfileError(file, undefined, `${file.filename}: ${what}`, 'a Dockerfile begins with FROM image');
  }
  return { statements, warnings };
}

function readStatement(logical: LogicalLine, cursor: LineCursor, escape: string, comments: readonly Word[]): Statement {
  const cut = cutStatement(logical, { start: 0, end: logical.text.length }, escape, comments);
  const before = cursor.number;
  const heredocs = takesHeredocs(cut) ? readHeredocs(logical, cursor) : [];
  if (cursor.number === before) return cut;
  const end = { line: cursor.number, column: lastLineLength(cursor) };
  return { ...cut, heredocs, range: { start: cut.range.start, end } };
}

/** Of the line just read, without its newline. */
function lastLineLength(cursor: LineCursor): number {
  const end = cursor.text[cursor.offset - 1] === '\n' ? cursor.offset - 1 : cursor.offset;
  const start = cursor.text.lastIndexOf('\n', end - 1) + 1;
  return cursor.text.slice(start, end).replace(/\r+$/, '').length;
}

/** Joins continued lines; comments and blank lines in between fall out. */
function readLogical(
  file: SourceFile,
  cursor: LineCursor,
  first: PhysicalLine,
  indent: number,
  escape: string,
  warnings: ParseWarning[],
): LogicalLine {
  const text = first.text.slice(indent);
  const column = first.column + indent;
  let cut = continuationIn(text, escape);
  if (cut === undefined) return singleLine(file, text, first.number, column);
  const parts = [{ text: text.slice(0, cut), line: first.number, column }];
  let hasEmptyLine = false;
  while (cut !== undefined) {
    const line = readLine(file, cursor);
    if (line === undefined) break;
    const blanks = indentOf(line.text);
    if (commentIn(line, blanks) !== undefined) continue;
    if (blanks === line.text.length) {
      const range = lineRange(line, 0, line.text.length);
      if (!hasEmptyLine) warnings.push({ rule: 'NoEmptyContinuation', message: 'Empty continuation line', range });
      hasEmptyLine = true;
      continue;
    }
    cut = continuationIn(line.text, escape);
    // Blanks at its front stay, as in BuildKit.
    parts.push({ text: line.text.slice(0, cut), line: line.number, column: line.column });
  }
  return joinLines(file, parts);
}

/**
 * Where the escape character that continues a line stands: only blanks follow it, and no other one stands before it.
 * Undefined for a line that ends here.
 */
function continuationIn(text: string, escape: string): number | undefined {
  let at = text.length - 1;
  while (text[at] === ' ' || text[at] === '\t') at--;
  return text[at] === escape && text[at - 1] !== escape ? at : undefined;
}

/** @param indent Blanks before it. */
function commentIn(line: PhysicalLine, indent: number): Word | undefined {
  if (line.text[indent] !== '#') return undefined;
  const body = line.text.slice(indent + 1);
  const text = body.trim();
  const start = text === '' ? indent + 1 : indent + 1 + body.indexOf(text);
  return { text, range: lineRange(line, start, start + text.length) };
}

function readLine(file: SourceFile, cursor: LineCursor): PhysicalLine | undefined {
  const line = nextLine(cursor);
  if (line === undefined || !isTooLong(cursor.text, line)) return line;
  const at = { line: line.number, column: 0 };
  throw dockerfileError(
    file,
    { start: at, end: at },
    `the line is longer than ${MAX_LINE_BYTES} bytes`,
    'break it with a continuation, or copy the text from a file',
  );
}
