import { BuildError } from '../contracts/index.ts';

/** A pattern cut into what it matches, one token a character or wildcard. */
export type GlobToken =
  | { readonly kind: 'char'; readonly code: number }
  /** `?`: one character, never `/`. */
  | { readonly kind: 'any' }
  /** `*`: any number of characters, never `/`. */
  | { readonly kind: 'star' }
  /** `[a-z]`, `[^a]`. A negated class matches `/` too, as in Go. */
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] };

const STAR = 0x2a;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CARET = 0x5e;
const DASH = 0x2d;
const SLASH = 0x2f;

/** Code points; bytes that are not UTF-8 are lone surrogates (contracts/tree.ts) and count as one each. */
function codePoints(text: string): number[] {
  const codes: number[] = [];
  for (const char of text) codes.push(char.codePointAt(0) ?? 0);
  return codes;
}

/**
 * Cuts a pattern of Go's `filepath.Match` on Unix into tokens. Undefined for what Go calls `ErrBadPattern`: an
 * unterminated or empty class, a range without an end, a `\` at the end.
 */
export function globTokens(pattern: string): GlobToken[] | undefined {
  const codes = codePoints(pattern);
  const tokens: GlobToken[] = [];
  let at = 0;
  while (at < codes.length) {
    const code = codes[at++];
    if (code === STAR) tokens.push({ kind: 'star' });
    else if (code === QUESTION) tokens.push({ kind: 'any' });
    else if (code === BACKSLASH) {
      const escaped = codes[at++];
      if (escaped === undefined) return undefined;
      tokens.push({ kind: 'char', code: escaped });
    } else if (code === OPEN) {
      const parsed = readClass(codes, at);
      if (parsed === undefined) return undefined;
      tokens.push(parsed.token);
      at = parsed.next;
    } else if (code !== undefined) tokens.push({ kind: 'char', code });
  }
  return tokens;
}

/** Reads a class after its `[`. */
function readClass(codes: readonly number[], from: number): { token: GlobToken; next: number } | undefined {
  let at = from;
  const negated = codes[at] === CARET;
  if (negated) at++;
  const ranges: [number, number][] = [];
  const character = (): number | undefined => {
    let code = codes[at];
    if (code === undefined || code === DASH || code === CLOSE) return undefined;
    if (code === BACKSLASH) code = codes[++at];
    at++;
    // Go: the class must still be closed after it.
    return at < codes.length ? code : undefined;
  };
  for (;;) {
    if (codes[at] === CLOSE && ranges.length > 0) return { token: { kind: 'class', negated, ranges }, next: at + 1 };
    const low = character();
    if (low === undefined) return undefined;
    let high = low;
    if (codes[at] === DASH) {
      at++;
      const end = character();
      if (end === undefined) return undefined;
      high = end;
    }
    ranges.push([low, high]);
  }
}

function matchesOne(token: GlobToken, code: number): boolean {
  switch (token.kind) {
    case 'char':
      return token.code === code;
    case 'any':
      return code !== SLASH;
    case 'class':
      return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
    case 'star':
      return false;
  }
}

/**
 * Walks pattern and path once, going back only to the last `*`: quick whatever the pattern (no exponential
 * backtracking), and with Go's choice of the leftmost place for what follows a `*`.
 */
function matchTokens(tokens: readonly GlobToken[], codes: readonly number[]): boolean {
  let t = 0;
  let c = 0;
  let starToken = -1;
  let starEnd = 0;
  for (;;) {
    const token = tokens[t];
    const code = codes[c];
    if (token?.kind === 'star') {
      starToken = ++t;
      starEnd = c;
      continue;
    }
    if (token === undefined && code === undefined) return true;
    if (token !== undefined && code !== undefined && matchesOne(token, code)) {
      t++;
      c++;
      continue;
    }
    if (starToken < 0 || starEnd >= codes.length || codes[starEnd] === SLASH) return false;
    t = starToken;
    c = ++starEnd;
  }
}

function badPattern(pattern: string): BuildError {
  return new BuildError({
    code: 'dockerfile',
    message: `the pattern ${JSON.stringify(pattern)} is malformed`,
    hint: 'close every [ with a ], and write \\[ or \\\\ for the characters themselves',
  });
}

/**
 * Compiles a pattern of Go's `filepath.Match` (Unix): `*`, `?`, `[a-z]`, `[^a]`, `\x`; none of them but a negated class
 * matches `/`. Errors: `dockerfile` for a malformed pattern.
 */
export function compileGlob(pattern: string): (path: string) => boolean {
  if (!hasWildcard(pattern)) return (path) => path === pattern;
  const tokens = globTokens(pattern);
  if (tokens === undefined) throw badPattern(pattern);
  return (path) => matchTokens(tokens, codePoints(path));
}

/** Go's `filepath.Match` on Unix; see {@link compileGlob}, which is quicker for more than one path. */
export function matchPattern(pattern: string, path: string): boolean {
  return compileGlob(pattern)(path);
}

/** Whether a pattern could match anything but its own text. */
export function hasWildcard(pattern: string): boolean {
  return /[*?[\\]/.test(pattern);
}
