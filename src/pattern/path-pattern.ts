import { globTokens, type GlobToken } from './glob.ts';

/**
 * One ignore pattern without its `!`, as moby/patternmatcher reads it: a glob with two more wildcards,
 * `**` before something (any number of directories) and `**` at the end (all that is left).
 */
type PathToken = GlobToken | { readonly kind: 'directories' } | { readonly kind: 'rest' };

/** Decides for one path. */
export type PathTest = (path: string) => boolean;

export interface PathPattern {
  readonly test: PathTest;
  /** Whether the pattern could match something below `directory`. May say yes too often, never no wrongly. */
  readonly reachesBelow: (directory: string) => boolean;
}

const SLASH = 0x2f;

/** Undefined for a malformed pattern. `pattern` is cleaned and relative. */
export function compilePathPattern(pattern: string): PathPattern | undefined {
  // patternmatcher checks the syntax with filepath.Match, which takes ** for two stars.
  if (globTokens(pattern) === undefined) return undefined;
  const tokens = pathTokens(pattern);
  // A class like [z-a] matches nothing in filepath.Match but is refused by patternmatcher's regular expression.
  if (tokens.some((token) => token.kind === 'class' && token.ranges.some(([low, high]) => low > high)))
    return undefined;
  return { test: compileTest(pattern, tokens), reachesBelow: compileReach(tokens) };
}

function pathTokens(pattern: string): PathToken[] {
  const tokens: PathToken[] = [];
  const pieces = globTokens(pattern) ?? [];
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i];
    if (piece === undefined) break;
    if (piece.kind !== 'star' || pieces[i + 1]?.kind !== 'star') {
      tokens.push(piece);
      continue;
    }
    i++;
    // The slash after ** belongs to it: **/a matches a.
    if (isSlash(pieces[i + 1])) i++;
    tokens.push({ kind: i + 1 >= pieces.length ? 'rest' : 'directories' });
  }
  return tokens;
}

function isSlash(token: PathToken | undefined): boolean {
  return token?.kind === 'char' && token.code === SLASH;
}

/** Joins runs of characters, so that the shape of a pattern can be read at a glance: `**`, `/a/`, `*`. */
function shapeOf(tokens: readonly PathToken[]): (string | PathToken)[] {
  const shape: (string | PathToken)[] = [];
  for (const token of tokens) {
    if (token.kind !== 'char') {
      shape.push(token);
      continue;
    }
    const char = String.fromCodePoint(token.code);
    const last = shape.at(-1);
    if (typeof last === 'string') shape[shape.length - 1] = last + char;
    else shape.push(char);
  }
  return shape;
}

/** The shapes that nearly all patterns have are plain string comparisons. */
function compileTest(pattern: string, tokens: readonly PathToken[]): PathTest {
  const shape = shapeOf(tokens);
  const names = shape.map((part) => (typeof part === 'string' ? 'text' : part.kind)).join(' ');
  const text = (index: number): string => (typeof shape[index] === 'string' ? shape[index] : '');
  switch (names) {
    case 'text': {
      const whole = text(0);
      return (path) => path === whole;
    }
    case 'rest':
    case 'directories rest':
      return () => true;
    case 'text rest': {
      const prefix = text(0);
      return (path) => path.startsWith(prefix);
    }
    case 'directories text': {
      const name = text(0 + 1);
      // patternmatcher compares ends of strings here: **foo (no slash) matches xfoo, **foo* does not.
      if (!pattern.startsWith('**/') && !pattern.includes('\\')) return (path) => path.endsWith(name);
      const suffix = `/${name}`;
      return (path) => path.endsWith(suffix) || path === name;
    }
    case 'directories text rest': {
      const first = text(1);
      const later = `/${first}`;
      return (path) => path.startsWith(first) || path.includes(later);
    }
    case 'directories star text': {
      const suffix = text(2);
      if (!suffix.includes('/')) return (path) => path.endsWith(suffix);
      break;
    }
    case 'star':
      return (path) => !path.includes('/');
    case 'star text':
      return aroundStar('', text(1));
    case 'text star':
      return aroundStar(text(0), '');
    case 'text star text':
      return aroundStar(text(0), text(2));
  }
  const prefix = text(0);
  const general = isTame(tokens) ? regularTest(tokens) : stateTest(tokens);
  return prefix === '' ? general : (path) => path.startsWith(prefix) && general(path);
}

function aroundStar(before: string, after: string): PathTest {
  const least = before.length + after.length;
  return (path) => {
    if (path.length < least || !path.startsWith(before) || !path.endsWith(after)) return false;
    const slash = path.indexOf('/', before.length);
    return slash < 0 || slash >= path.length - after.length;
  };
}

/** Whether a backtracking regular expression stays quick on every path: few wildcards that can grow at the same time. */
function isTame(tokens: readonly PathToken[]): boolean {
  let directories = 0;
  let stars = 0;
  for (const token of tokens) {
    if (token.kind === 'directories' && ++directories > 1) return false;
    if (token.kind === 'star' && ++stars > 2) return false;
    if (isSlash(token)) stars = 0;
  }
  return true;
}

function regularTest(tokens: readonly PathToken[]): PathTest {
  let source = '^';
  for (const token of tokens) {
    switch (token.kind) {
      case 'char':
        source += regularChar(token.code);
        break;
      case 'any':
        source += '[^/]';
        break;
      case 'star':
        source += '[^/]*';
        break;
      case 'class': {
        const ranges = token.ranges.map(([low, high]) => `${regularChar(low)}-${regularChar(high)}`).join('');
        source += `[${token.negated ? '^' : ''}${ranges}]`;
        break;
      }
      case 'directories':
        source += '(?:.*/)?';
        break;
      case 'rest':
        source += '.*';
        break;
    }
  }
  const expression = new RegExp(`${source}$`, 'us');
  return (path) => expression.test(path);
}

function regularChar(code: number): string {
  return `\\u{${code.toString(16)}}`;
}

/** Simulates the pattern's automaton: time is path length times pattern length, whatever the pattern. */
function stateTest(tokens: readonly PathToken[]): PathTest {
  const end = tokens.length;
  const enter = (states: Uint8Array, at: number): void => {
    for (let i = at; i <= end && states[i] === 0; i++) {
      states[i] = 1;
      const kind = tokens[i]?.kind;
      if (kind !== 'star' && kind !== 'directories' && kind !== 'rest') return;
    }
  };
  return (path) => {
    let states = new Uint8Array(end + 1);
    enter(states, 0);
    for (const char of path) {
      const code = char.codePointAt(0) ?? 0;
      const next = new Uint8Array(end + 1);
      for (let i = 0; i < end; i++) {
        const token = tokens[i];
        if (states[i] === 0 || token === undefined) continue;
        if (token.kind === 'directories') {
          // Inside it; what follows may begin only after a slash.
          next[i] = 1;
          if (code === SLASH) enter(next, i + 1);
        } else if (token.kind === 'rest') enter(next, i);
        else if (token.kind === 'star') {
          if (code !== SLASH) enter(next, i);
        } else if (takes(token, code)) enter(next, i + 1);
      }
      states = next;
    }
    return states[end] === 1;
  };
}

function takes(token: Exclude<PathToken, { kind: 'star' | 'directories' | 'rest' }>, code: number): boolean {
  switch (token.kind) {
    case 'char':
      return token.code === code;
    case 'any':
      return code !== SLASH;
    case 'class':
      return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
  }
}

/** Compares component by component; a component that may hold slashes reaches everywhere from there on. */
function compileReach(tokens: readonly PathToken[]): (directory: string) => boolean {
  const components: PathToken[][] = [[]];
  for (const token of tokens) {
    if (isSlash(token)) components.push([]);
    else components.at(-1)?.push(token);
  }
  const tests = components.map((component) =>
    component.some((token) => token.kind === 'directories' || token.kind === 'rest' || token.kind === 'class')
      ? undefined
      : stateOrText(component),
  );
  return (directory) => {
    const names = directory.split('/');
    for (const [index, name] of names.entries()) {
      if (index >= tests.length) return false;
      const test = tests[index];
      if (test === undefined) return true;
      if (!test(name)) return false;
    }
    return tests.length > names.length;
  };
}

function stateOrText(component: readonly PathToken[]): PathTest {
  const shape = shapeOf(component);
  const only = shape.length === 0 ? '' : shape[0];
  if (shape.length <= 1 && typeof only === 'string') return (name) => name === only;
  return isTame(component) ? regularTest(component) : stateTest(component);
}
