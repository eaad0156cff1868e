/**
 * Go's notions of white space, which decide where words end: `unicode.IsSpace`, and the parser's own set without
 * newline for splitting.
 */
const OTHER_SPACE = /[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Go's `unicode.IsSpace` for the UTF-16 unit at `at`. */
export function isSpaceAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return OTHER_SPACE.test(text.charAt(at));
}

/** Tab, vertical tab, form feed, carriage return, blank: what separates plain words in an instruction. */
export function isSeparatorAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x09 || (code >= 0x0b && code <= 0x0d);
}

/** Part of a text, `end` not included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The span without white space around it (Go's `strings.TrimSpace`). */
export function trimSpan(text: string, span: Span): Span {
  let { start, end } = span;
  while (start < end && isSpaceAt(text, start)) start++;
  while (end > start && isSpaceAt(text, end - 1)) end--;
  return start === span.start && end === span.end ? span : { start, end };
}

/** What {@link isSeparatorAt} is true for, and what not: from `lastIndex` on. */
const SEPARATOR = /[\t\v\f\r ]/g;
const NO_SEPARATOR = /[^\t\v\f\r ]/g;

/** The first place in a span that `pattern` matches, or its end. */
function seek(text: string, pattern: RegExp, from: number, end: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? Math.min(pattern.lastIndex - 1, end) : end;
}

/** Words between runs of separators; quotes mean nothing here. */
export function splitSpan(text: string, span: Span): Span[] {
  const words: Span[] = [];
  let start = seek(text, NO_SEPARATOR, span.start, span.end);
  while (start < span.end) {
    const end = seek(text, SEPARATOR, start, span.end);
    words.push({ start, end });
    start = seek(text, NO_SEPARATOR, end, span.end);
  }
  return words;
}

/** Where the word that a span begins with ends. */
export function wordEnd(text: string, { start, end }: Span): number {
  return seek(text, SEPARATOR, start, end);
}

/** Where the separators at `from` end. */
export function skipSeparators(text: string, from: number, end: number): number {
  return seek(text, NO_SEPARATOR, from, end);
}
