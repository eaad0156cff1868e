import { isSpaceAt, type Span } from './space.ts';

/** Whether a string holds half a surrogate pair at `at`; used to keep escapes with the character they escape. */
function unitsAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xd800 && code <= 0xdbff && at + 1 < text.length ? 2 : 1;
}

/**
 * Words of ENV, LABEL and ARG: blanks inside quotes and after the escape character belong to the word, which keeps its
 * quotes and escapes; expansion takes them away later. An escape character at the very end is dropped (BuildKit's
 * parser/line_parsers.go, parseWords).
 */
export function quotedWords(text: string, span: Span, escape: string): Span[] {
  const words: Span[] = [];
  let at = span.start;
  while (at < span.end) {
    while (at < span.end && isSpaceAt(text, at)) at++;
    if (at >= span.end) break;
    const start = at;
    let end = at;
    let quote = '';
    while (at < span.end && (quote !== '' || !isSpaceAt(text, at))) {
      const char = text.charAt(at);
      if (char === escape && quote !== "'") {
        if (at + 1 >= span.end) {
          at++;
          break;
        }
        at += 1 + unitsAt(text, at + 1);
      } else {
        if (quote === '') quote = char === '"' || char === "'" ? char : '';
        else if (char === quote) quote = '';
        at++;
      }
      end = Math.min(at, span.end);
    }
    if (end > start) words.push({ start, end });
  }
  return words;
}
