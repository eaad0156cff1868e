import { describe, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { cleanPath } from './clean.ts';
import { compileGlob, hasWildcard, matchPattern } from './glob.ts';

describe('matchPattern', () => {
  test.each<[string, string, boolean]>([
    ['app.go', 'app.go', true],
    ['app.go', 'app_go', false],
    ['*', 'a', true],
    ['*', '', true],
    ['*', 'a/b', false],
    ['*.go', 'main.go', true],
    ['*.go', '.go', true],
    ['*.go', 'cmd/main.go', false],
    ['cmd/*/main.go', 'cmd/x/main.go', true],
    ['cmd/*/main.go', 'cmd/x/y/main.go', false],
    ['a*b*c', 'aXbXbXc', true],
    ['a*b*c', 'aXbXbX', false],
    ['a**b', 'aXb', true],
    ['a**b', 'a/b', false],
    ['?', 'é', true],
    ['?', '😀', true],
    ['?', '/', false],
    ['a?c', 'ac', false],
    ['[a-c]x', 'bx', true],
    ['[a-c]x', 'dx', false],
    ['[^a-c]x', 'dx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a]', '/', true],
    ['[*]', '*', true],
    ['[*]', 'x', false],
    ['[ab-d!]', '!', true],
    ['[\\]]', ']', true],
    ['[\\-x]', '-', true],
    ['[z-a]', 'b', false],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['\\a', 'a', true],
    ['*x', 'xxx', true],
    // After a star Go takes the leftmost place and does not come back.
    ['*[^x]*b', 'a/b', false],
    ['\udc80*', '\udc80x', true],
  ])('%j and %j: %s', (pattern, path, expected) => {
    expect(matchPattern(pattern, path)).toBe(expected);
  });

  test.each(['[', '[a', '[]a]', '[^]a]', '[a-]', '[-a]', '[a-b-c]', 'a\\', '[\\', 'x[^'])('refuses %j', (pattern) => {
    expect(() => compileGlob(pattern)).toThrow(BuildError);
    expect(() => compileGlob(pattern)).toThrow(/malformed/);
  });

  test('does not hang on many stars', () => {
    expect(matchPattern('*a'.repeat(50) + 'b', 'a'.repeat(4000))).toBe(false);
  });
});

test('hasWildcard sees wildcards and escapes', () => {
  expect(['a/b.c', 'a*', 'a?', '[a]', 'a\\b'].map(hasWildcard)).toEqual([false, true, true, true, true]);
});

test.each([
  ['', '.'],
  ['.', '.'],
  ['./a/', 'a'],
  ['a//b', 'a/b'],
  ['a/../b', 'b'],
  ['a/..', '.'],
  ['../a', '../a'],
  ['../../a/..', '../..'],
  ['/..', '/'],
  ['/a/./b/', '/a/b'],
])('cleanPath(%j) is %j', (path, expected) => {
  expect(cleanPath(path)).toBe(expected);
});
