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
  /** The line without byte order mark and newline characters. */
  readonly text: string;
  /** Column of `text`: 1 after a byte order mark, else 0. */
  readonly column: number;
  /** As it stands in the file, with its newline. */
  readonly raw: string;
}

/** Reads a text line by line; mutable, owned by one parse. */
export interface LineCursor {
  readonly text: string;
  offset: number;
  number: number;
}

/** The next line, or undefined at the end of the text. The bytes of a line are checked by the caller. */
export function nextLine(cursor: LineCursor): PhysicalLine | undefined {
  const { text, offset } = cursor;
  if (offset >= text.length) return undefined;
  const newline = text.indexOf('\n', offset);
  const after = newline < 0 ? text.length : newline + 1;
  const raw = text.slice(offset, after);
  const column = offset === 0 && raw.startsWith('\uFEFF') ? 1 : 0;
  let end = raw.length;
  while (end > column && (raw[end - 1] === '\n' || raw[end - 1] === '\r')) end--;
  cursor.offset = after;
  cursor.number++;
  return { number: cursor.number, offset, text: raw.slice(column, end), column, raw };
}

/** Whether the line is longer than BuildKit reads. */
export function isTooLong(line: PhysicalLine): boolean {
  const units = line.raw.length;
  // At most three bytes a UTF-16 unit.
  if (units * 3 <= MAX_LINE_BYTES) return false;
  let bytes = 0;
  for (let i = 0; i < units; i++) {
    const code = line.raw.charCodeAt(i);
    // Each half of a surrogate pair counts two of its four bytes.
    if (code < 0x80) bytes += 1;
    else if (code < 0x800 || (code >= 0xd800 && code <= 0xdfff)) bytes += 2;
    else bytes += 3;
  }
  return bytes - (line.raw.endsWith('\n') ? 1 : 0) > MAX_LINE_BYTES;
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
  /** At least one, by offset. */
  readonly pieces: readonly [Piece, ...Piece[]];
}

/** A line that is an instruction, or its beginning; `column`: of `text`. */
export function singleLine(file: SourceFile, text: string, line: number, column: number): LogicalLine {
  return { file, text, pieces: [{ offset: 0, line, column }] };
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
  const [first, ...rest] = pieces;
  const start = parts[0];
  const fallback = { offset: 0, line: start?.line ?? 1, column: start?.column ?? 0 };
  return { file, text, pieces: first === undefined ? [fallback] : [first, ...rest] };
}

/** `edge` decides at a joint: `start` is on the line that begins there, `end` on the line that ended there. */
function positionAt(line: LogicalLine, offset: number, edge: 'start' | 'end'): Position {
  const { pieces } = line;
  const last = edge === 'start' ? offset : offset - 1;
  // Binary search: a hostile line may have a million pieces and as many words.
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((pieces[middle]?.offset ?? 0) <= last) low = middle;
    else high = middle - 1;
  }
  const found = pieces[low] ?? pieces[0];
  return { line: found.line, column: found.column + offset - found.offset };
}

/** The place of a part of a logical line in the file. */
export function rangeOf(line: LogicalLine, span: Span): SourceRange {
  const { pieces } = line;
  // Most instructions are one line.
  if (pieces.length === 1) {
    const [{ line: number, column, offset }] = pieces;
    const base = column - offset;
    const only = { line: number, column: base + span.start };
    return { start: only, end: span.end > span.start ? { line: number, column: base + span.end } : only };
  }
  const start = positionAt(line, span.start, 'start');
  return { start, end: span.end > span.start ? positionAt(line, span.end, 'end') : start };
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
