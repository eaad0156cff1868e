import { BuildError } from '../contracts/index.ts';

/**
 * Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` is any number of characters and `?` one, neither a newline; `\`
 * takes `*`, `?` and `\` literally. No brackets (BuildKit's shell/lex.go, convertShellPatternToRegex).
 *
 * Tables over (pattern, value) instead of regular expressions: what a Dockerfile can say must not hang us.
 */
type Token = { readonly kind: 'char'; readonly char: string } | { readonly kind: 'any' } | { readonly kind: 'star' };

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const chars = Array.from(pattern);
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] ?? '';
    if (char === '*') tokens.push({ kind: 'star' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else if (char === '\\') {
      const next = chars[++i];
      // `}` and `/` are escaped for the sake of ${}, not of the pattern.
      if (next !== '}' && next !== '/' && next !== '*' && next !== '?' && next !== '\\') {
        throw new BuildError({
          code: 'dockerfile',
          message: `the pattern ${JSON.stringify(pattern)} is malformed`,
          hint: 'in patterns a backslash escapes only *, ?, \\, / and }',
        });
      }
      tokens.push({ kind: 'char', char: next });
    } else tokens.push({ kind: 'char', char });
  }
  return tokens;
}

/** For each position of `value`: where the match of `tokens` that begins there ends, -1 = none. */
function matchEnds(tokens: readonly Token[], value: readonly string[], longest: boolean): Int32Array {
  const n = value.length;
  let ends: Int32Array = Int32Array.from({ length: n + 1 }, (_, at) => at);
  for (const token of tokens.toReversed()) {
    const before: Int32Array = new Int32Array(n + 1).fill(-1);
    for (let at = n; at >= 0; at--) {
      const char = value[at];
      const newline = char === '\n';
      if (token.kind === 'star') {
        const here = ends[at] ?? -1;
        const further = at < n && !newline ? (before[at + 1] ?? -1) : -1;
        before[at] =
          here < 0 ? further : further < 0 ? here : longest ? Math.max(here, further) : Math.min(here, further);
      } else if (at < n && (token.kind === 'any' ? !newline : token.char === char)) {
        before[at] = ends[at + 1] ?? -1;
      }
    }
    ends = before;
  }
  return ends;
}

/** `${v#p}` (shortest) and `${v##p}` (longest). */
export function trimPrefix(pattern: string, value: string, longest: boolean): string {
  const chars = Array.from(value);
  const end = matchEnds(tokensOf(pattern), chars, longest)[0] ?? -1;
  return end < 0 ? value : chars.slice(end).join('');
}

/** `${v%p}` (shortest) and `${v%%p}` (longest). */
export function trimSuffix(pattern: string, value: string, longest: boolean): string {
  // Read backwards, a suffix is a prefix.
  const chars = Array.from(value).reverse();
  const end = matchEnds(tokensOf(pattern).reverse(), chars, longest)[0] ?? -1;
  return end < 0 ? value : chars.slice(end).reverse().join('');
}

/** `${v/p/r}` (the first match, as long as can be) and `${v//p/r}` (all). */
export function replacePattern(pattern: string, value: string, replacement: string, all: boolean): string {
  const chars = Array.from(value);
  const ends = matchEnds(tokensOf(pattern), chars, true);
  let result = '';
  let at = 0;
  let lastEnd = -1;
  while (at <= chars.length) {
    const end = ends[at] ?? -1;
    // As in Go, an empty match right after another match does not count.
    if (end >= 0 && !(end === at && at === lastEnd)) {
      result += replacement;
      lastEnd = end;
      if (!all) return result + chars.slice(end).join('');
      if (end > at) {
        at = end;
        continue;
      }
    }
    result += chars[at] ?? '';
    at++;
  }
  return result;
}
