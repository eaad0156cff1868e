import { expect, test } from 'vitest';
import { differences } from '../bench/content.ts';
import { merge } from '../bench/merge.ts';
import { markdown, runsOfBench, type Report } from '../bench/report.ts';
import { runsOf } from '../bench/runner.ts';

const spread = (median: number, runs = 3) => ({ median, min: median, max: median, runs });
const tools = { slipway: 'Slipway', buildkit: 'BuildKit 1' };

function report(workloads: Readonly<Record<string, number>>, measured: string, more: Partial<Report> = {}): Report {
  return {
    date: '2026-01-01',
    machine: 'two cores',
    tools,
    workloads: Object.entries(workloads).map(([id, seconds]) => {
      const peer = { seconds: spread(1, 1), cpuSeconds: spread(1, 1) };
      const own = { seconds: spread(seconds), cpuSeconds: spread(seconds) };
      return { id, title: id, measured, cases: [{ name: 'a', floors: [], tools: { slipway: own, buildkit: peer } }] };
    }),
    curves: [],
    ...more,
  };
}

test('a part replaces its workloads, in their order, and the page says what was measured together', () => {
  const merged = merge(report({ W1: 1, W2: 2, W10: 3 }, 'first'), report({ W9: 4, W2: 5 }, 'second'));
  const seconds = merged.workloads.map(({ id, cases }) => [id, cases[0]?.tools.slipway?.seconds.median]);
  expect(seconds).toEqual([
    ['W1', 1],
    ['W2', 5],
    ['W9', 4],
    ['W10', 3],
  ]);
  expect(runsOfBench(merged)).toBe('in 2 runs: W1, W10 (first); W2, W9 (second)');
  expect(runsOfBench(report({ W1: 1, W2: 1 }, 'first'))).toBe('in one run');
});

test.each([
  ['another machine', { machine: 'one core' }],
  ['with another buildkit', { tools: { ...tools, buildkit: 'BuildKit 2' } }],
  ['without buildkit', { tools: { slipway: 'Slipway' } }],
])('a part that cannot stand in the same table is refused: %s', (message, more) => {
  expect(() => merge(report({ W1: 1 }, 'first'), report({ W1: 1 }, 'second', more))).toThrow(message);
});

test.each([
  ['slipway', 0.05, 15, 15],
  ['slipway', 5, 7, 4],
  ['buildkit', 22, 7, 3],
  ['buildkit', 22, 1, 1],
  ['buildah', 7.9, 7, 3],
  ['buildah', 8, 7, 1],
] as const)('%s with runs of %d s, %d at most: %d', (tool, seconds, most, runs) => {
  expect(runsOf(tool, seconds, most)).toBe(runs);
});

test('a single run is called so', () => {
  const table = markdown(report({ W1: 1 }, 'first'));
  expect(table).toContain('1.00 s (1.00-1.00)');
  expect(table).toContain('1.00 s (once)');
});

test('images differ in content, and in what only one has, but not in directories that come along', () => {
  const common = [['same', 'file 644 a']] as const;
  const a = new Map([...common, ['dir', 'directory 755'], ['other', 'file 644 a']]);
  const b = new Map([...common, ['other', 'file 644 b'], ['more', 'file 644 a']]);
  expect(differences(a, b)).toEqual(['other', 'more']);
});
