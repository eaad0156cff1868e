import { BuildError } from '../contracts/index.ts';

/**
 * One record of comma-separated values (RFC 4180, as Go's encoding/csv): a field in double quotes may hold commas and
 * doubled quotes.
 *
 * @throws BuildError `usage` for quotes that do not match.
 */
export function parseCsv(text: string): readonly string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const field = text[at] === '"' ? quotedField(text, at) : plainField(text, at);
    fields.push(field.value);
    if (field.end === text.length) return fields;
    at = field.end + 1;
  }
}

interface Field {
  readonly value: string;
  /** Of the comma after it, or the end of the text. */
  readonly end: number;
}

function plainField(text: string, start: number): Field {
  const comma = text.indexOf(',', start);
  const end = comma === -1 ? text.length : comma;
  const value = text.slice(start, end);
  if (value.includes('"')) throw invalid(text, 'a quote inside a value: put the whole field in quotes, as "name=a,b"');
  return { value, end };
}

function quotedField(text: string, start: number): Field {
  let value = '';
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) throw invalid(text, 'a quote that does not end');
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') {
      const end = quote + 1;
      if (end < text.length && text[end] !== ',') throw invalid(text, 'text follows the end of a quote');
      return { value, end };
    }
    value += '"';
    at = quote + 2;
  }
}

function invalid(text: string, reason: string): BuildError {
  return new BuildError({ code: 'usage', message: `cannot read ${JSON.stringify(text)}: ${reason}` });
}
