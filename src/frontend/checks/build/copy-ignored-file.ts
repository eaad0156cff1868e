import type { AddInstruction, CopyInstruction, Report, Rule, Word } from '../../../dockerfile/index.ts';
import { cleanPath, compilePatterns } from '../../../pattern/index.ts';
import type { IgnorePattern, PatternMatcher } from '../../../pattern/index.ts';
import { isStepOf, stepText } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';

export const copyIgnoredFile: Rule<BuildView> = {
  name: 'CopyIgnoredFile',
  severity: 'warning',
  description: 'What COPY and ADD take from the build context is not excluded by .dockerignore',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'An excluded file is not there for the build: the step will fail, or copy less than it seems.',
    bad: 'FROM alpine\nCOPY secrets/config.json /etc/app/',
    good: 'FROM alpine\nCOPY config.json /etc/app/',
    ignore: ['secrets'],
  },
  *check(view): Iterable<Report> {
    const { context } = view.options;
    if (context.kind !== 'local' || context.excludes.length === 0) return;
    const matcher = compilePatterns(context.excludes);
    for (const step of view.stages.flatMap(({ steps }) => steps)) {
      const fromContext =
        (isStepOf(step, 'COPY') && step.instruction.from === undefined) || isStepOf(step, 'ADD') ? step : undefined;
      if (fromContext !== undefined) yield* reportStep(fromContext, matcher, view);
    }
  },
};

function* reportStep(
  step: StepView<CopyInstruction | AddInstruction>,
  matcher: PatternMatcher,
  view: BuildView,
): Iterable<Report> {
  for (const source of step.instruction.sources) {
    if (source.kind !== 'path') continue;
    const word: Word = source;
    const path = stepText(step, word, view);
    if (/^[a-z+]+:\/\/|^git@/i.test(path) || path.includes('$') || !isIgnored(path, matcher)) continue;
    const isRoot = relative(path) === '';
    yield {
      message: `.dockerignore excludes ${isRoot ? 'all of the build context' : path}, which ${step.instruction.name} wants`,
      hint: isRoot
        ? 'add a line with ! and a path to .dockerignore for everything that is needed'
        : `take the pattern out of .dockerignore, or add a line !${relative(path)} after it`,
      place: step,
      range: step.onBuild ? undefined : word.range,
    };
  }
}

function relative(path: string): string {
  return cleanPath(`/${path}`).slice(1);
}

function isIgnored(path: string, matcher: PatternMatcher): boolean {
  const source = relative(path);
  // The root is no path that could be excluded; all that is in it may be.
  if (source === '' && !matcher.patterns.some(excludesAll)) return false;
  if (matcher.patterns.some((pattern) => pattern.negated && mayReinclude(pattern, source))) return false;
  return source === '' || matcher.matches(source);
}

function excludesAll({ negated, pattern }: IgnorePattern): boolean {
  return !negated && ['*', '**', '**/*'].includes(pattern);
}

/** Whether a negated pattern could take in something at or below the source; beyond its first wildcard, anything. */
function mayReinclude({ pattern }: IgnorePattern, source: string): boolean {
  const negated = beforeWildcard(unescape(pattern.slice(1)));
  const copied = beforeWildcard(source);
  return isAtOrBelow(negated.path, copied.path) || (negated.isCut && isAtOrBelow(copied.path, negated.path));
}

/** Up to the first part with a wildcard. */
function beforeWildcard(path: string): { readonly path: string; readonly isCut: boolean } {
  const parts = path.split('/');
  const wild = parts.findIndex((part) => /[*?[]/.test(part));
  return { path: (wild < 0 ? parts : parts.slice(0, wild)).join('/'), isCut: wild >= 0 };
}

function unescape(pattern: string): string {
  return pattern.replace(/\\([^*?[])/g, '$1');
}

function isAtOrBelow(path: string, base: string): boolean {
  return base === '' || path === base || path.startsWith(`${base}/`);
}
