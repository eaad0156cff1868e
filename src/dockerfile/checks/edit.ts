import type { Position, SourceRange } from '../../contracts/index.ts';
import type { TextEdit } from './rule.ts';

/** Offsets at which the lines of a text begin; the last is its length. */
function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function offsetOf(starts: readonly number[], { line, column }: Position): number {
  return (starts[line - 1] ?? 0) + column;
}

/** Carries out edits; of two that overlap, the later one in the list is left for another time. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  const starts = lineStarts(text);
  const taken: { start: number; end: number; text: string }[] = [];
  for (const edit of edits) {
    const start = offsetOf(starts, edit.range.start);
    const end = offsetOf(starts, edit.range.end);
    if (!taken.some((other) => start < other.end && other.start < end)) taken.push({ start, end, text: edit.text });
  }
  taken.sort((a, b) => a.start - b.start || a.end - b.end);
  let result = '';
  let at = 0;
  for (const edit of taken) {
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

/** The text of a range. */
export function textOf(text: string, range: SourceRange): string {
  const starts = lineStarts(text);
  return text.slice(offsetOf(starts, range.start), offsetOf(starts, range.end));
}
