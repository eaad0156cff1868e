/**
 * Patterns: Go's `filepath.Match` (wildcards of COPY and ADD), and moby/patternmatcher (`.dockerignore`, `--exclude`)
 * with `**` and `!`. Pure: the walkers of other rooms ask, nothing here touches a file system.
 *
 * The terms told apart: a *glob* is one `filepath.Match` pattern and matches a whole path or not; an *ignore pattern*
 * may hold `**`, may be negated by `!`, and also decides about all that lies below a directory it matches; a *pattern
 * matcher* is an ordered list of ignore patterns of which the last that matches wins.
 */
export { cleanPath } from './clean.ts';
export { compileGlob, hasWildcard, matchPattern } from './glob.ts';
export { parseIgnoreFile, type IgnoreLine } from './ignore-file.ts';
export { compilePatterns, type Explanation, type IgnorePattern, type PatternMatcher } from './matcher.ts';
