import type { CheckResult, Severity, SourceLocation } from '../../index.ts';
import { withoutControls } from './text.ts';

const COMMANDS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', info: 'notice' };

/** Workflow commands: GitHub shows each at its line of the change. */
export function githubAnnotations({ findings, errors, file }: CheckResult): string {
  const lines = findings.map(({ rule, message, hint, location }) =>
    annotation(COMMANDS[rule.severity], rule.name, [message, hint], location),
  );
  for (const { message, hint, location, code } of errors) {
    lines.push(annotation('error', code, [message, hint], location ?? { file, ranges: [] }));
  }
  return withoutControls(lines.map((line) => `${line}\n`).join(''));
}

function annotation(
  command: string,
  title: string,
  texts: readonly (string | undefined)[],
  { file, ranges }: SourceLocation,
): string {
  const [range] = ranges;
  const place =
    range === undefined
      ? {}
      : {
          line: `${range.start.line}`,
          endLine: `${range.end.line}`,
          // Columns have a meaning within one line only.
          ...(range.start.line === range.end.line && {
            col: `${range.start.column + 1}`,
            endColumn: `${range.end.column + 1}`,
          }),
        };
  const properties = Object.entries({ file: file.filename, ...place, title })
    .map(([name, value]) => `${name}=${escapeProperty(value)}`)
    .join(',');
  return `::${command} ${properties}::${escapeData(texts.filter((text) => text !== undefined).join('\n'))}`;
}

/** As actions/toolkit does: a value can neither end its command nor begin one. */
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
