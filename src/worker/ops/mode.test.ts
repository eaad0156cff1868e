import { describe, expect, test } from 'vitest';
import { parseMode } from './mode.ts';

describe('--chmod', () => {
  test.each([
    ['755', 0o644, 0o755],
    ['0755', 0o644, 0o755],
    ['7777', 0o644, 0o7777],
    ['0', 0o644, 0],
    ['u+x', 0o644, 0o744],
    ['u+x,go-w', 0o666, 0o744],
    ['+x', 0o644, 0o755],
    ['go=', 0o777, 0o700],
    ['a=r', 0o4777, 0o444],
    ['u=rwx,go=rx', 0o600, 0o755],
    ['u=rwx,go=u-w', 0o600, 0o755],
    ['g=u', 0o640, 0o660],
    ['o+g', 0o640, 0o644],
    ['g-u', 0o670, 0o610],
    ['u+s', 0o755, 0o4755],
    ['g+s', 0o755, 0o2755],
    ['o+s', 0o755, 0o755],
    ['+t', 0o755, 0o1755],
    ['o+t', 0o755, 0o755],
    ['-t', 0o1777, 0o777],
    ['u=rw', 0o4755, 0o655],
    ['u=gx', 0o070, 0o170],
    ['+rw-x', 0o755, 0o666],
  ])('%s of %o is %o', (text, mode, expected) => {
    expect(parseMode(text)(mode, false).toString(8)).toBe(expected.toString(8));
  });

  test.each([
    ['+X', 0o644, false, 0o644],
    ['+X', 0o644, true, 0o755],
    ['+X', 0o744, false, 0o755],
    ['go+rX', 0o700, true, 0o755],
    ['a=rX', 0o755, true, 0o555],
    ['a=rX', 0o644, false, 0o444],
    ['u=rwX,go=rX', 0o100, false, 0o755],
    ['-X', 0o755, true, 0o644],
  ])('%s of %o, directory %s, is %o', (text, mode, directory, expected) => {
    expect(parseMode(text)(mode, directory).toString(8)).toBe(expected.toString(8));
  });

  test.each(['', '8', '789', '77777', 'u', 'u+x,', 'x', 'u+q', 'u*x', ',u+x', '0x7'])('%j is refused', (text) => {
    expect(() => parseMode(text)).toThrow(expect.objectContaining({ code: 'copy' }));
  });
});
