import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { parseIgnoreFile } from './ignore-file.ts';
import { compilePatterns } from './matcher.ts';
import { compilePathPattern } from './path-pattern.ts';

describe('one pattern', () => {
  /** `yes`: matches itself; `below`: only because a directory above matches. */
  test.each<[string, string, 'yes' | 'below' | 'no']>([
    ['a', 'a', 'yes'],
    ['a', 'a/b/c', 'below'],
    ['a', 'b/a', 'no'],
    ['/a', 'a', 'yes'],
    ['./a/', 'a', 'yes'],
    ['**', 'a', 'yes'],
    ['**', 'a/b', 'yes'],
    ['**/', 'a/b', 'yes'],
    ['**/**', 'a/b', 'yes'],
    ['a/**', 'a', 'no'],
    ['a/**', 'a/b', 'yes'],
    ['a/**', 'a/b/c', 'yes'],
    ['a/**', 'ab', 'no'],
    ['a**', 'ab/c', 'yes'],
    ['**/a', 'a', 'yes'],
    ['**/a', 'x/y/a', 'yes'],
    ['**/a', 'x/ba', 'no'],
    ['**/a', 'a/x', 'below'],
    ['**a', 'x/ba', 'yes'],
    ['**a', 'ab', 'no'],
    ['**a*', 'x/ba', 'no'],
    ['**/a/b', 'x/a/b', 'yes'],
    ['**/a/**', 'a/b', 'yes'],
    ['**/a/**', 'x/a/b/c', 'yes'],
    ['**/a/**', 'x/a', 'no'],
    ['**/a/**', 'x/ba/c', 'no'],
    ['**/*.log', 'x.log', 'yes'],
    ['**/*.log', 'a/b/x.log', 'yes'],
    ['**/*.log', 'a/x.log/y', 'below'],
    ['**/*.log', 'a/x.logs', 'no'],
    ['**/*a/b', 'x/ya/b', 'yes'],
    ['**/**/*.txt', 'a/b/c.txt', 'yes'],
    ['*', 'a', 'yes'],
    ['*', 'a/b', 'below'],
    ['*.md', 'README.md', 'yes'],
    ['*.md', 'docs/README.md', 'no'],
    ['a*', 'abc', 'yes'],
    ['a/*', 'a/b', 'yes'],
    ['a/*/c', 'a/b/c', 'yes'],
    ['a/*/c', 'a/b/b/c', 'no'],
    ['a*c', 'ac', 'yes'],
    ['a*c', 'ab', 'no'],
    ['a*bc', 'abbc', 'yes'],
    ['ab*bc', 'abc', 'no'],
    ['a/**/c', 'a/c', 'yes'],
    ['a/**/c', 'a/b/b/c', 'yes'],
    ['a**/*.txt', 'a/b/c.txt', 'yes'],
    ['a/*.txt**', 'a/b.txt', 'yes'],
    ['a?c', 'abc', 'yes'],
    ['a?c', 'a/c', 'no'],
    ['a[b-d]e', 'ace', 'yes'],
    ['a[^b-d]e', 'ace', 'no'],
    ['a.c', 'abc', 'no'],
    ['a(b)|{c}$', 'a(b)|{c}$', 'yes'],
    ['a\\*c', 'a*c', 'yes'],
    ['a\\*c', 'abc', 'no'],
    ['[ä-ö]x', 'öx', 'yes'],
    ['*.t?t', 'a.txt', 'yes'],
    ['**/a*/b*/c', 'x/a1/b1/c', 'yes'],
    ['**/x/**/y/**/z', 'x/1/y/2/3/z', 'yes'],
    ['**/x/**/y/**/z', 'x/1/2/3/z', 'no'],
  ])('%j and %j: %s', (pattern, path, expected) => {
    expect(compilePatterns([pattern]).matches(path)).toBe(expected !== 'no');
    const whole = pattern === '/a' || pattern === './a/' || pattern === '**/' ? undefined : compilePathPattern(pattern);
    if (whole !== undefined) expect(whole.test(path)).toBe(expected === 'yes');
  });

  test.each(['[', 'a[b', '!', '! ', 'a\\', '[z-a]'])('refuses %j', (pattern) => {
    expect(() => compilePatterns([pattern])).toThrow(BuildError);
    expect(() => compilePatterns([pattern], 'dockerfile')).toThrow(
      expect.objectContaining({ code: 'dockerfile', hint: expect.any(String) as string }) as Error,
    );
  });

  test('does not hang, however many wildcards', () => {
    const matcher = compilePatterns(['**/' + '*a'.repeat(30) + '/**/*b*c*d*e*f', '**/a/**/a/**/a/**/a/**/b']);
    expect(matcher.matches('a/'.repeat(500) + 'a'.repeat(255))).toBe(false);
  });
});

describe('lists of patterns', () => {
  test.each<[string[], string, boolean]>([
    [[], 'a', false],
    [['', '  '], 'a', false],
    [['*.go', '!main.go'], 'main.go', false],
    [['!main.go', '*.go'], 'main.go', true],
    [['docs', '!docs/README.md'], 'docs/README.md', false],
    [['docs', '!docs/README.md'], 'docs/other', true],
    [['docs', '!docs/README.md'], 'docs', true],
    [['**', '!src'], 'src/a/b', false],
    [['**', '!src', 'src/a'], 'src/a/b', true],
    [['**', '!src', 'src/a'], 'src/b', false],
    [['*', '!a/b/c'], 'a/b/c/d', false],
    [['*', '!a/b/c'], 'a/b/x', true],
    [['*', '!**/*.md'], 'x/y/z.md', false],
    [['.'], 'a', false],
    [['*'], '', false],
    [['*'], '.', false],
    // A negation speaks of a directory only when something was excluded there; later finds below do not ask it again.
    [['a/x', '!a'], 'a/x', true],
  ])('%j and %j: %s', (patterns, path, expected) => {
    expect(compilePatterns(patterns).matches(path)).toBe(expected);
  });

  test('explain names the pattern and its line', () => {
    const matcher = compilePatterns(parseIgnoreFile('# all\n*\n!src\nsrc/**/*.test.ts\n', '.dockerignore'));
    expect(matcher.explain('README.md')).toEqual({ excluded: true, pattern: '*', line: 2 });
    expect(matcher.explain('src/a.ts')).toEqual({ excluded: false, pattern: '!src', line: 3 });
    expect(matcher.explain('src/a/b.test.ts')).toEqual({ excluded: true, pattern: 'src/**/*.test.ts', line: 4 });
    expect(matcher.explain('')).toEqual({ excluded: false });
    expect(compilePatterns(['a']).explain('b')).toEqual({ excluded: false });
    expect(compilePatterns(['/a/']).explain('a/b')).toEqual({ excluded: true, pattern: 'a', line: undefined });
  });

  test.each<[string[], string, boolean]>([
    [['node_modules'], 'node_modules', true],
    [['node_modules'], 'src', false],
    [['*', '!src'], 'docs', true],
    [['*', '!src/main'], 'src', false],
    [['*', '!src/main'], 'src/other', true],
    [['*', '!src/*/main'], 'src/x', false],
    [['*', '!src/*/main'], 'src/x/y', true],
    [['*', '!**/*.md'], 'docs', false],
    [['*', '!s?c/[a-b]/x'], 'src/a', false],
    [['*', '!s?c/x'], 'docs', true],
  ])('%j: a walker may leave out %j: %s', (patterns, directory, expected) => {
    expect(compilePatterns(patterns).prunes(directory)).toBe(expected);
  });

  test('many directories do not confuse the memory of states', () => {
    const matcher = compilePatterns(['*', '!d*/keep', 'd*/keep/not']);
    const wrong: string[] = [];
    for (let i = 0; i < 10_000; i++) {
      if (matcher.matches(`d${i}/keep/a`)) wrong.push(`d${i}/keep/a`);
      if (!matcher.matches(`d${i}/keep/not/a`)) wrong.push(`d${i}/keep/not/a`);
      if (!matcher.matches(`d${i}/other`)) wrong.push(`d${i}/other`);
    }
    expect(wrong).toEqual([]);
  });
});

describe('properties', () => {
  const pattern = fc
    .array(fc.constantFrom('a', 'b', '/', '*', '**', '?', 'ab', '/**/', '[ab]'), { minLength: 1, maxLength: 7 })
    .map((parts) =>
      parts
        .join('')
        .replaceAll(/\/+/g, '/')
        .replaceAll(/^\/|\/$/g, ''),
    )
    .filter((text) => text !== '');
  const path = fc
    .array(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.map((part) => part.join('')).join('/'));

  /** The documented translation to a regular expression, without any special case but the comparison of ends. */
  function reference(text: string, subject: string): boolean {
    const literalEnd = /^\*\*([^*?[\\]+)$/.exec(text)?.[1];
    if (literalEnd !== undefined) {
      return subject.endsWith(literalEnd) || (literalEnd.startsWith('/') && subject === literalEnd.slice(1));
    }
    let source = '';
    for (let at = 0; at < text.length;) {
      const char = text.charAt(at);
      if (text.startsWith('**', at)) {
        at += 2;
        if (text[at] === '/') at++;
        source += at === text.length ? '.*' : '(.*/)?';
        continue;
      }
      source += char === '*' ? '[^/]*' : char === '?' ? '[^/]' : char;
      at++;
    }
    return new RegExp(`^${source}$`, 's').test(subject);
  }

  test('a pattern matches what its definition says', () => {
    fc.assert(
      fc.property(pattern, path, (text, subject) => {
        expect(compilePathPattern(text)?.test(subject)).toBe(reference(text, subject));
      }),
      { numRuns: 3000 },
    );
  });

  test('a pattern that matches a path reaches below every directory above it', () => {
    fc.assert(
      fc.property(pattern, path, (text, subject) => {
        const compiled = compilePathPattern(text);
        fc.pre(compiled?.test(subject) === true);
        const parts = subject.split('/');
        for (let i = 1; i < parts.length; i++) expect(compiled.reachesBelow(parts.slice(0, i).join('/'))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('nothing below a pruned directory is included, and explain agrees with matches', () => {
    const list = fc.array(fc.tuple(fc.boolean(), pattern), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(list, path, (items, subject) => {
        const matcher = compilePatterns(items.map(([negated, text]) => (negated ? `!${text}` : text)));
        expect(matcher.explain(subject).excluded).toBe(matcher.matches(subject));
        const parts = subject.split('/');
        const pruned = parts.slice(1).some((_, i) => matcher.prunes(parts.slice(0, i + 1).join('/')));
        if (pruned) expect(matcher.matches(subject)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
});
