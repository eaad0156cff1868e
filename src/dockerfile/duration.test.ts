import { expect, test } from 'vitest';
import { parseDuration } from './duration.ts';
import { nearest } from './nearest.ts';
import { isSignal } from './signal.ts';

test.each<[string, number | undefined]>([
  ['0', 0],
  ['0s', 0],
  ['5s', 5e9],
  ['+5s', 5e9],
  ['-5s', -5e9],
  ['1h30m', 5400e9],
  ['1.5h', 5400e9],
  ['.5s', 5e8],
  ['1.s', 1e9],
  ['3us2µs1μs', 6000],
  ['1ms1ns', 1000001],
  ['', undefined],
  ['-', undefined],
  ['5', undefined],
  ['s', undefined],
  ['.s', undefined],
  ['1d', undefined],
  ['1s ', undefined],
  ['9999999h', undefined],
])('parseDuration(%j) is %j', (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});

test.each<[string, boolean]>([
  ['TERM', true],
  ['sigkill', true],
  ['15', true],
  ['0', false],
  ['RTMIN+15', true],
  ['RTMIN+16', false],
  ['SIGRTMAX-14', true],
  ['RTMAX-15', false],
  ['', false],
  ['SIG', false],
  ['9x', false],
])('isSignal(%j) is %s', (text, expected) => {
  expect(isSignal(text)).toBe(expected);
});

test.each<[string, string | undefined]>([
  ['ruun', 'RUN'],
  ['urn', 'RUN'],
  ['entrypint', 'ENTRYPOINT'],
  ['work', 'WORKDIR'],
  ['xyz', undefined],
  ['', undefined],
])('nearest(%j) is %j', (word, expected) => {
  expect(nearest(word, ['RUN', 'ENTRYPOINT', 'WORKDIR', 'COPY'])).toBe(expected);
});
