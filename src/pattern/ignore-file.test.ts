import { describe, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { parseIgnoreFile } from './ignore-file.ts';

function thrown(text: string): BuildError {
  try {
    parseIgnoreFile(text, '.dockerignore');
  } catch (error) {
    if (error instanceof BuildError) return error;
  }
  throw new Error('nothing was thrown');
}

describe('parseIgnoreFile', () => {
  test('cleans patterns and keeps their lines', () => {
    const text = '\uFEFF# comment\r\n/a/b/\r\n\r\n  ./c/../d  \n!  /e//f\n # no comment\n/\n.\n';
    expect(parseIgnoreFile(text, '.dockerignore')).toEqual([
      { pattern: 'a/b', line: 2 },
      { pattern: 'd', line: 4 },
      { pattern: '!e/f', line: 5 },
      { pattern: '# no comment', line: 6 },
      { pattern: '/', line: 7 },
      { pattern: '.', line: 8 },
    ]);
  });

  test('a byte order mark does not hide a comment', () => {
    expect(parseIgnoreFile('\uFEFF#x', '.dockerignore')).toEqual([]);
  });

  test.each([
    ['a\n!\nb', 2, 0, 1],
    ['  ! ', 1, 2, 3],
    ['x\n\n  [a', 3, 2, 4],
    ['!a[', 1, 0, 3],
    ['a\\', 1, 0, 2],
  ])('refuses %j and points to line %d', (text, line, start, end) => {
    const error = thrown(text);
    expect(error.code).toBe('ignore-file');
    expect(error.hint).toBeDefined();
    expect(error.location?.file).toEqual({ filename: '.dockerignore', text, language: 'ignore' });
    expect(error.location?.ranges).toEqual([{ start: { line, column: start }, end: { line, column: end } }]);
  });
});
