import type { Position, SourceFile, SourceRange } from '../contracts/index.ts';
import { isSpaceAt, type Span } from './space.ts';
import type { Word } from './types.ts';

/** BuildKit reads lines with a buffer of 64 KiB: bytes of a line without its newline. */
export const MAX_LINE_BYTES = 65535;

/** A line of the file. */
export interface PhysicalLine {
  /** From 1. */
  readonly number: number;
  /** Offset of column 0 in the file's text. */
  readonly offset: number;
  /** Offset of the line after it. */
  readonly after: number;
  /** The line without byte order mark and newline characters. */
  readonly text: string;
  /** Column of `text`: 1 after a byte order mark, else 0. */
  readonly column: number;
}

/** Reads a text line by line; mutable, owned by one parse. */
export interface LineCursor {
  readonly text: string;
  offset: number;
  number: number;
}

const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = 0xfeff;

/** The next line, or undefined at the end of the text. The bytes of a line are checked by the caller. */
export function nextLine(cursor: LineCursor): PhysicalLine | undefined {
  const { text, offset } = cursor;
  if (offset >= text.length) return undefined;
  const newline = text.indexOf('\n', offset);
  const after = newline < 0 ? text.length : newline + 1;
  const column = offset === 0 && text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0;
  let end = newline < 0 ? after : newline;
  while (end > offset + column && text.charCodeAt(end - 1) === CR) end--;
  cursor.offset = after;
  cursor.number++;
  return { number: cursor.number, offset, after, text: text.slice(offset + column, end), column };
}

/** Whether a line of `text` is longer than BuildKit reads. */
export function isTooLong(text: string, { offset, after }: PhysicalLine): boolean {
  // At most three bytes a UTF-16 unit.
  if ((after - offset) * 3 <= MAX_LINE_BYTES) return false;
  let bytes = 0;
  for (let i = offset; i < after; i++) {
    const code = text.charCodeAt(i);
    // Each half of a surrogate pair counts two of its four bytes.
    if (code < 0x80) bytes += 1;
    else if (code < 0x800 || (code >= 0xd800 && code <= 0xdfff)) bytes += 2;
    else bytes += 3;
  }
  return bytes - (text.charCodeAt(after - 1) === LF ? 1 : 0) > MAX_LINE_BYTES;
}

/** Where the part of a logical line from `offset` on comes from. */
interface Piece {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** The text of an instruction: continuations joined, comments and blank lines in between dropped. */
export interface LogicalLine {
  readonly file: SourceFile;
  readonly text: string;
  /** Where it begins. */
  readonly line: number;
  readonly column: number;
  /** By offset; where each part comes from, the first one too. Undefined for what is one line, as most are. */
  readonly pieces: readonly Piece[] | undefined;
}

/** A line that is an instruction, or its beginning; `column`: of `text`. */
export function singleLine(file: SourceFile, text: string, line: number, column: number): LogicalLine {
  return { file, text, line, column, pieces: undefined };
}

/** Collects pieces. */
export function joinLines(
  file: SourceFile,
  parts: readonly { text: string; line: number; column: number }[],
): LogicalLine {
  let text = '';
  const pieces: Piece[] = [];
  for (const part of parts) {
    if (part.text !== '') pieces.push({ offset: text.length, line: part.line, column: part.column });
    text += part.text;
  }
  const { line, column } = pieces[0] ?? parts[0] ?? { line: 1, column: 0 };
  return { file, text, line, column, pieces: pieces.length > 1 ? pieces : undefined };
}

/** `edge` decides at a joint: `start` is on the line that begins there, `end` on the line that ended there. */
function positionAt({ line, column, pieces }: LogicalLine, offset: number, edge: 'start' | 'end'): Position {
  if (pieces === undefined) return { line, column: column + offset };
  const last = edge === 'start' ? offset : offset - 1;
  // Binary search: a hostile line may have a million pieces and as many words.
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((pieces[middle]?.offset ?? 0) <= last) low = middle;
    else high = middle - 1;
  }
  const found = pieces[low] ?? { line, column, offset: 0 };
  return { line: found.line, column: found.column + offset - found.offset };
}

/** The place of a part of a logical line in the file. */
export function rangeOf(line: LogicalLine, { start: from, end: to }: Span): SourceRange {
  const start = positionAt(line, from, 'start');
  return { start, end: to > from ? positionAt(line, to, 'end') : start };
}

/** A part of a logical line with its place. */
export function wordOf(line: LogicalLine, span: Span): Word {
  return { text: line.text.slice(span.start, span.end), range: rangeOf(line, span) };
}

/** Column in `line.text` of the first character that is not white space; its length when there is none. */
export function indentOf(text: string): number {
  let at = 0;
  while (at < text.length && isSpaceAt(text, at)) at++;
  return at;
}

/** The place of columns of `line.text`. */
export function lineRange(line: PhysicalLine, start: number, end: number): SourceRange {
  return {
    start: { line: line.number, column: line.column + start },
    end: { line: line.number, column: line.column + end },
  };
}
