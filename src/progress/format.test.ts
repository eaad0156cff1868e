import { expect, test } from 'vitest';
import { humanSize, logTime, rfc3339, seconds, transferSize } from './format.ts';

test.each([
  [0, '0 B', '0B'],
  [214, '214 B', '214B'],
  [999, '999 B', '999B'],
  [1000, '1 kB', '1.00kB'],
  [3_141_592, '3.14 MB', '3.14MB'],
  [611_400_000, '611 MB', '611.40MB'],
  [999_900, '1 MB', '999.90kB'],
  [999_999, '1 MB', '1.00MB'],
  [2_060_000_000, '2.06 GB', '2.06GB'],
  [-1, '0 B', '0B'],
])('%i bytes are %s, in transfers %s', (bytes, human, transfer) => {
  expect(humanSize(bytes)).toBe(human);
  expect(transferSize(bytes)).toBe(transfer);
});

test.each([
  [0, '0.000', '0.0s'],
  [123, '0.123', '0.1s'],
  [12_345, '12.35', '12.3s'],
  [123_456, '123.5', '123.5s'],
  [-5, '0.000', '0.0s'],
])('%i ms are %s in logs, %s elsewhere', (ms, log, text) => {
  expect(logTime(ms)).toBe(log);
  expect(seconds(ms)).toBe(text);
});

test.each([
  [0, '1970-01-01T00:00:00Z'],
  [1.5, '1970-01-01T00:00:00.0015Z'],
  [999.9999999, '1970-01-01T00:00:01Z'],
  [-1, '1969-12-31T23:59:59.999Z'],
])('%d is %s', (ms, text) => {
  expect(rfc3339(ms)).toBe(text);
});
