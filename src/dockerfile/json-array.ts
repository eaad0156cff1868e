import { isSpaceAt, type Span } from './space.ts';

/** What an argument that may be in JSON (exec) form turned out to be. */
export type MaybeArray =
  /** Not a JSON array: the shell form. */
  | { readonly kind: 'none' }
  /** A JSON array with something other than strings in it, which is an error. */
  | { readonly kind: 'not-strings' }
  | { readonly kind: 'array'; readonly items: readonly { readonly value: string; readonly span: Span }[] };

const NO_ARRAY: MaybeArray = { kind: 'none' };

/**
 * Recognises the JSON form as BuildKit does (parser/line_parsers.go, parseJSON): the whole argument must be one valid
 * JSON array, anything else is shell form, silently.
 */
export function maybeArray(text: string, span: Span): MaybeArray {
  let start = span.start;
  while (start < span.end && isSpaceAt(text, start)) start++;
  if (text[start] !== '[' || start >= span.end) return NO_ARRAY;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.slice(start, span.end));
  } catch {
    return NO_ARRAY;
  }
  if (!Array.isArray(parsed)) return NO_ARRAY;
  const values: string[] = [];
  for (const value of parsed as unknown[]) {
    if (typeof value !== 'string') return { kind: 'not-strings' };
    values.push(wellFormed(value));
  }
  const spans = stringSpans(text, start);
  return {
    kind: 'array',
    items: values.map((value, index) => ({ value, span: spans[index] ?? { start, end: span.end } })),
  };
}

/** Spans of the strings, quotes included, of a valid JSON array of strings. */
function stringSpans(text: string, from: number): Span[] {
  const spans: Span[] = [];
  let at = from + 1;
  while (at < text.length && text[at] !== ']') {
    if (text[at] !== '"') {
      at++;
      continue;
    }
    const start = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    spans.push({ start, end: ++at });
  }
  return spans;
}

/** Go decodes half a surrogate pair in an escape to U+FFFD. */
function wellFormed(value: string): string {
  return value.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}
