/**
 * `--format` as docker's commands take it: Go's text/template over what a command would print, `json`, or `table` before
 * a template for columns with heads.
 */
import { table } from '../table.ts';
import { parseTemplate, templateError } from './parse.ts';
import { runTemplate } from './run.ts';

export interface Formatted {
  /** Heads of columns by field, for `table`. */
  readonly heads: Readonly<Record<string, string>>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** One line a row. @throws BuildError `usage` */
export function formatRows(format: string, { heads, rows }: Formatted): string {
  if (format === 'json')
    return rows.map((row) => `${runTemplate(parseTemplate('{{json .}}'), row, format)}\n`).join('');
  const isTable = /^table(\s|$)/.test(format);
  // A shell hands on `\t` as it is written; docker takes it for a tab.
  const template = (isTable ? format.slice('table'.length).trimStart() : format)
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n');
  if (isTable && template === '') throw templateError(format, 'table needs columns, as in table {{.ID}}\\t{{.Size}}');
  const nodes = parseTemplate(template);
  const lines = rows.map((row) => runTemplate(nodes, row, format));
  if (!isTable) return lines.map((line) => `${line}\n`).join('');
  const head = runTemplate(nodes, heads, format);
  return table(
    head.split('\t'),
    lines.map((line) => line.split('\t')),
  );
}

/** What `--format` prints of one value. @throws BuildError `usage` */
export function formatValue(format: string, value: unknown): string {
  const template = format === 'json' ? '{{json .}}' : format;
  return `${runTemplate(parseTemplate(template), value, format)}\n`;
}
