import { BuildError, type ErrorCode } from '../contracts/index.ts';
import { relativePattern, type IgnoreLine } from './ignore-file.ts';
import { compilePathPattern, type PathTest } from './path-pattern.ts';

/** One pattern of a matcher. */
export interface IgnorePattern {
  /** Cleaned; with its `!`. */
  readonly pattern: string;
  readonly negated: boolean;
  /** Of the file it came from, from 1; undefined for patterns given otherwise. */
  readonly line: number | undefined;
}

export interface Explanation {
  readonly excluded: boolean;
  /** The pattern that decided; a negated one when the path was taken in again. Undefined when none matched. */
  readonly pattern?: string | undefined;
  readonly line?: number | undefined;
}

/**
 * An ordered list of patterns, compiled. Paths are as in trees (contracts/tree.ts): relative, cleaned, `/`-separated.
 * The root (`''`) is never excluded.
 */
export interface PatternMatcher {
  readonly patterns: readonly IgnorePattern[];
  /** Whether any pattern begins with `!`. */
  readonly hasNegations: boolean;
  /** Whether the path is excluded: the last pattern that matches it, or a directory above it, says so. */
  matches(path: string): boolean;
  /** The same with the reason. */
  explain(path: string): Explanation;
  /** Whether a negated pattern could take in something below this (excluded) directory. May say yes too often. */
  mayReinclude(directory: string): boolean;
  /** Whether a walker can leave out the directory and all below it. */
  prunes(directory: string): boolean;
}

/** What the patterns said of a directory; children begin from it. */
interface DirectoryState {
  readonly excluded: boolean;
  /** Index of the pattern that decided, -1 = none. */
  readonly decider: number;
  /** One byte a pattern: 1 where it matched this directory or one above. Undefined = none did. */
  readonly matched: Uint8Array | undefined;
}

/** States of directories kept for their children; walkers go directory by directory, so few are needed at a time. */
const STATE_CACHE_SIZE = 4096;

/**
 * Compiles patterns with the semantics of moby/patternmatcher, as a walk from the root sees them
 * (MatchesUsingParentResults, which BuildKit's contexts and copies use): what a pattern said of a directory holds for
 * all below it.
 *
 * Errors: `code` (default `ignore-file`) for a lone `!` and for a malformed pattern.
 */
export function compilePatterns(
  patterns: readonly (string | IgnoreLine)[],
  code: ErrorCode = 'ignore-file',
): PatternMatcher {
  const compiled: IgnorePattern[] = [];
  const tests: PathTest[] = [];
  const reaches: ((directory: string) => boolean)[] = [];
  for (const item of patterns) {
    const text = (typeof item === 'string' ? item : item.pattern).trim();
    if (text === '') continue;
    const negated = text.startsWith('!');
    const body = negated ? text.slice(1).trim() : text;
    const relative = body === '' ? '' : relativePattern(body);
    const path = body === '' ? undefined : compilePathPattern(relative);
    if (path === undefined) {
      throw new BuildError({
        code,
        message: body === '' ? 'a lone "!" is no pattern' : `the pattern ${JSON.stringify(text)} is malformed`,
        hint:
          body === ''
            ? 'write the path to include again after the "!"'
            : 'close every [ with a ], and write \\[ or \\\\ for the characters themselves',
      });
    }
    compiled.push({
      pattern: negated ? `!${relative}` : relative,
      negated,
      line: typeof item === 'string' ? undefined : item.line,
    });
    tests.push(path.test);
    if (negated) reaches.push(path.reachesBelow);
  }
  return matcherOf(compiled, tests, reaches);
}

function matcherOf(
  patterns: readonly IgnorePattern[],
  tests: readonly PathTest[],
  reaches: readonly ((directory: string) => boolean)[],
): PatternMatcher {
  const hasNegations = reaches.length > 0;
  const negated = patterns.map((pattern) => pattern.negated);
  const states = new Map<string, DirectoryState>();

  const evaluate = (path: string, parent: DirectoryState | undefined): DirectoryState => {
    if (!hasNegations && parent?.excluded === true) return parent;
    const inherited = parent?.matched;
    let excluded = false;
    let decider = -1;
    let matched = inherited;
    for (const [i, test] of tests.entries()) {
      if (inherited?.[i] !== 1) {
        // An exclusion says nothing new of what is excluded, a negation nothing of what is not.
        if (negated[i] !== excluded || !test(path)) continue;
        if (matched === inherited) matched = inherited?.slice() ?? new Uint8Array(tests.length);
        if (matched !== undefined) matched[i] = 1;
      }
      const now: boolean = negated[i] !== true;
      if (now !== excluded) decider = i;
      excluded = now;
      if (!hasNegations) break;
    }
    return { excluded, decider, matched };
  };

  const stateOf = (path: string): DirectoryState => {
    const slash = path.lastIndexOf('/');
    return evaluate(path, slash < 0 ? undefined : directoryState(path.slice(0, slash)));
  };

  const directoryState = (directory: string): DirectoryState => {
    const known = states.get(directory);
    if (known !== undefined) return known;
    const state = stateOf(directory);
    if (states.size >= STATE_CACHE_SIZE) states.clear();
    states.set(directory, state);
    return state;
  };

  const matches = (path: string): boolean => path !== '' && path !== '.' && stateOf(path).excluded;
  const mayReinclude = (directory: string): boolean => reaches.some((reach) => reach(directory));
  return {
    patterns,
    hasNegations,
    matches,
    mayReinclude,
    explain: (path) => {
      if (path === '' || path === '.') return { excluded: false };
      const { excluded, decider } = stateOf(path);
      const pattern = patterns[decider];
      return pattern === undefined ? { excluded } : { excluded, pattern: pattern.pattern, line: pattern.line };
    },
    prunes: (directory) => matches(directory) && !mayReinclude(directory),
  };
}
