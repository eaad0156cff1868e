import type { TreePath } from '../../contracts/index.ts';
import { hasWildcard, matchPattern } from '../../pattern/index.ts';
import type { PatternMatcher } from '../../pattern/index.ts';
import { readNames } from '../../sys/path.ts';
import { lstat } from '../../sys/stat.ts';
import type { LocalContext, Missing } from '../types.ts';

/** Of a larger directory only so many names are compared. */
const NAMES_COMPARED_MAX = 10_000;
const SIMILAR_SHOWN_MAX = 3;

/**
 * Why nothing is to be seen at a path of a context: excluded (by which line), or not there, with the names that may
 * have been meant. A path with wildcards is explained by what they would match without the ignore file.
 *
 * @param base Host path of the context, `''` for the root of the machine.
 */
export async function explainMissing(
  path: TreePath,
  base: string,
  matcher: PatternMatcher,
  context: LocalContext,
): Promise<Missing> {
  const components = path.split('/').filter((name) => name !== '');
  let parent = '';
  for (const [depth, component] of components.entries()) {
    const names = namesIn(`${base}/${parent}`);
    const matching = hasWildcard(component) ? names.filter((name) => matchPattern(component, name)) : [component];
    const present = matching.map((name) => join(parent, name)).filter((child) => exists(`${base}/${child}`));
    const excluded = present.find((child) => matcher.matches(child));
    const last = depth === components.length - 1;
    if (excluded !== undefined && (last || !matcher.mayReinclude(excluded)))
      return exclusion(excluded, matcher, context);
    const [first] = present;
    if (first === undefined)
      return await similarTo(component, names, parent, components.slice(depth + 1), base, matcher);
    parent = first;
  }
  return { kind: 'absent' };
}

function exclusion(path: TreePath, matcher: PatternMatcher, context: LocalContext): Missing {
  const { pattern, line } = matcher.explain(path);
  return { kind: 'excluded', pattern: pattern ?? '', file: context.ignore?.file, line };
}

async function similarTo(
  name: string,
  names: readonly string[],
  parent: TreePath,
  rest: readonly string[],
  base: string,
  matcher: PatternMatcher,
): Promise<Missing> {
  if (hasWildcard(name)) return { kind: 'absent' };
  const lower = name.toLowerCase();
  const { distance } = await import('fastest-levenshtein');
  const limit = Math.max(1, Math.floor(name.length / 4));
  const ranked = names
    .slice(0, NAMES_COMPARED_MAX)
    .map((candidate) => ({
      path: join(parent, [candidate, ...rest].join('/')),
      // Only the case differs, or the ending was left out: nearer than any typing error.
      rank:
        candidate.toLowerCase() === lower
          ? 0
          : candidate.startsWith(`${name}.`) || name.startsWith(`${candidate}.`)
            ? 1
            : 1 + (hasSameLetters(candidate.toLowerCase(), lower) ? 1 : distance(candidate.toLowerCase(), lower)),
    }))
    .filter(({ path, rank }) => rank <= 1 + limit && !matcher.matches(path) && exists(`${base}/${path}`))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, SIMILAR_SHOWN_MAX);
  return ranked.length === 0 ? { kind: 'absent' } : { kind: 'similar', paths: ranked.map(({ path }) => path) };
}

/** `scr` for `src`: one slip of the fingers, though two edits. */
function hasSameLetters(a: string, b: string): boolean {
  return a.length === b.length && Array.from(a).sort().join('') === Array.from(b).sort().join('');
}

function join(parent: TreePath, name: string): TreePath {
  return parent === '' ? name : `${parent}/${name}`;
}

// An error message must not fail for what it cannot read.
function namesIn(directory: string): readonly string[] {
  try {
    return readNames(directory);
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  try {
    return lstat(path) !== undefined;
  } catch {
    return false;
  }
}
