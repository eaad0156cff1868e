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
  return { start, end };
}

/** Words between runs of separators; quotes mean nothing here. */
export function splitSpan(text: string, span: Span): Span[] {
  const words: Span[] = [];
  let at = span.start;
  while (at < span.end) {
    while (at < span.end && isSeparatorAt(text, at)) at++;
    const start = at;
    while (at < span.end && !isSeparatorAt(text, at)) at++;
    if (at > start) words.push({ start, end: at });
  }
  return words;
}

/** The first word of a span and, blanks skipped, the rest. */
export function cutSpan(text: string, span: Span): { first: Span; rest: Span | undefined } {
  let end = span.start;
  while (end < span.end && !isSeparatorAt(text, end)) end++;
  let rest = end;
  while (rest < span.end && isSeparatorAt(text, rest)) rest++;
  return {
    first: { start: span.start, end },
    rest: end < span.end ? { start: rest, end: span.end } : undefined,
  };
}
