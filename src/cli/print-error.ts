import type { BuildError, SourceLocation, SourceRange } from '../index.ts';

/** Lines of context shown above and below what an error points to. */
const EXCERPT_CONTEXT = 2;

/** Any error as the lines that a user reads: excerpt, what, details, what to do. Never a stack trace. */
export function formatError(error: BuildError): string {
  const lines: string[] = [];
  if (error.location !== undefined) lines.push(...excerpt(error.location));
  lines.push(...error.detail.map((line) => `  ${line}`));
  lines.push(`error: ${error.message}`);
  if (error.hint !== undefined) lines.push(`hint: ${error.hint}`);
  return lines.join('\n') + '\n';
}

/** The lines that a location points to, with some around; what is hidden is not shown. */
export function excerpt(location: SourceLocation, hidden: readonly SourceRange[] = []): readonly string[] {
  const text = location.file.text.split(/\r?\n/);
  for (const { start, end } of hidden) {
    const line = text[start.line - 1] ?? '';
    text[start.line - 1] = `${line.slice(0, start.column)}***${line.slice(end.column)}`;
  }
  const first = location.ranges[0];
  if (first === undefined) return [location.file.filename];
  const start = Math.min(...location.ranges.map((range) => range.start.line));
  const end = Math.max(
    ...location.ranges.map((range) =>
      range.end.column === 0 && range.end.line > range.start.line ? range.end.line - 1 : range.end.line,
    ),
  );
  const rule = '--------------------';
  const lines = [`${location.file.filename}:${start}`, rule];
  for (let line = Math.max(1, start - EXCERPT_CONTEXT); line <= Math.min(text.length, end + EXCERPT_CONTEXT); line++) {
    const content = text[line - 1] ?? '';
    if (line === text.length && content === '' && line > end) continue;
    lines.push(`${String(line).padStart(4)} | ${line >= start && line <= end ? '>>>' : '   '} ${content}`.trimEnd());
  }
  lines.push(rule);
  return lines;
}
