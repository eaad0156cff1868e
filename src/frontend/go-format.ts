/** How Go prints values: image histories hold such texts, and they have to be the same to the letter. */

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

/** `%q` of a string (strconv.Quote). */
export function goQuote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const short = SHORT_ESCAPES[character];
    if (short !== undefined) quoted += short;
    else if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) quoted += character;
    else quoted += escapeCodePoint(character.codePointAt(0) ?? 0);
  }
  return `${quoted}"`;
}

function escapeCodePoint(code: number): string {
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** `%q` of a list of strings. */
export function goQuoteList(list: readonly string[]): string {
  return `[${list.map(goQuote).join(' ')}]`;
}

/** `%v` of a list of strings. */
export function goList(list: readonly string[]): string {
  return `[${list.join(' ')}]`;
}

/** `time.Duration.String()` of nanoseconds: `1m30s`, `1.5s`, `500ms`, `0s`. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  const sign = nanoseconds < 0 ? '-' : '';
  const absolute = Math.abs(nanoseconds);
  if (absolute < 1e3) return `${sign}${absolute}ns`;
  if (absolute < 1e6) return `${sign}${decimal(absolute, 3)}µs`;
  if (absolute < 1e9) return `${sign}${decimal(absolute, 6)}ms`;
  const minutes = Math.floor(absolute / 60e9);
  const seconds = `${decimal(absolute - minutes * 60e9, 9)}s`;
  if (minutes === 0) return sign + seconds;
  const hours = Math.floor(minutes / 60);
  return `${sign}${hours === 0 ? '' : `${hours}h`}${minutes % 60}m${seconds}`;
}

/** `value` / 10^`digits`, without trailing zeros. */
function decimal(value: number, digits: number): string {
  const text = String(value).padStart(digits + 1, '0');
  const fraction = text.slice(-digits).replace(/0+$/, '');
  return text.slice(0, -digits) + (fraction === '' ? '' : `.${fraction}`);
}

/** `encoding/json` of a list of strings: HTML's special characters are escaped. */
export function goJson(list: readonly string[]): string {
  return JSON.stringify(list).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
