import type { CheckResult, Severity } from '../../index.ts';
import { excerpt, formatError } from '../print-error.ts';

const PLURALS: Readonly<Record<Severity, readonly [one: string, many: string]>> = {
  error: ['error', 'errors'],
  warning: ['warning', 'warnings'],
  info: ['note', 'notes'],
};
const TITLES: Readonly<Record<Severity, string>> = { error: 'ERROR', warning: 'WARNING', info: 'NOTE' };

/** As `docker build --check` prints it: a count, then each finding with its excerpt; a hint below. */
export function checkText(result: CheckResult): string {
  const lines = [countLine(result)];
  for (const { rule, url, message, hint, location, hidden } of result.findings) {
    lines.push('', `${TITLES[rule.severity]}: ${rule.name}${url === undefined ? '' : ` - ${url}`}`, message);
    lines.push(...excerpt(location, hidden));
    if (hint !== undefined) lines.push(`hint: ${hint}`);
  }
  for (const error of result.errors) lines.push('', formatError(error).trimEnd());
  return withoutControls(`${lines.join('\n')}\n`);
}

function countLine({ findings, errors }: CheckResult): string {
  const count = (severity: Severity): number =>
    findings.filter(({ rule }) => rule.severity === severity).length + (severity === 'error' ? errors.length : 0);
  const parts = (['error', 'warning', 'info'] as const).flatMap((severity) => {
    const number = count(severity);
    return number === 0 ? [] : `${number} ${PLURALS[severity][number === 1 ? 0 : 1]}`;
  });
  if (parts.length === 0) return 'Check complete, no warnings found.';
  const total = findings.length + errors.length;
  const list = parts.join(', ').replace(/, (?=[^,]*$)/, ' and ');
  return `Check complete, ${list} ${total === 1 ? 'has' : 'have'} been found!`;
}

/** A Dockerfile cannot speak to the terminal. */
export function withoutControls(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
}
