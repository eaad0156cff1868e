import type { SourceFile, TextEdit } from '../../index.ts';

/** Unchanged lines above and below a change. */
const CONTEXT = 3;

/** A unified diff, for `patch -p1` and `git apply`. Each edit replaces one whole line. */
export function unifiedDiff({ filename, text }: SourceFile, edits: readonly TextEdit[]): string {
  const lines = text.split('\n');
  const changes = new Map(edits.map((edit) => [edit.range.start.line, edit.text]));
  const total = text.endsWith('\n') ? lines.length - 1 : lines.length;
  const path = filename.replace(/^\/+/, '');
  let diff = `--- a/${path}\n+++ b/${path}\n`;
  for (const [first, last] of hunks(
    [...changes.keys()].sort((a, b) => a - b),
    total,
  )) {
    const count = last - first + 1;
    diff += `@@ -${first},${count} +${first},${count} @@\n`;
    let removed = '';
    let added = '';
    for (let number = first; number <= last + 1; number++) {
      const line = lines[number - 1] ?? '';
      const end = number === total && !text.endsWith('\n') ? '\n\\ No newline at end of file\n' : '\n';
      const change = number > last ? undefined : changes.get(number);
      if (change !== undefined) {
        removed += `-${line}${end}`;
        added += `+${change}${end}`;
        continue;
      }
      diff += removed + added;
      removed = '';
      added = '';
      if (number <= last) diff += ` ${line}${end}`;
    }
  }
  return diff;
}

/** First and last lines, changes that are near together in one. */
function hunks(numbers: readonly number[], total: number): readonly (readonly [first: number, last: number])[] {
  const found: [number, number][] = [];
  for (const number of numbers) {
    const first = Math.max(1, number - CONTEXT);
    const last = Math.min(total, number + CONTEXT);
    const previous = found.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = last;
    else found.push([first, last]);
  }
  return found;
}
