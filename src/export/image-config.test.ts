import { describe, expect, test } from 'vitest';
import type { HistoryEntry } from '../image/index.ts';
import { completeConfig, encodeConfig } from './image-config.ts';
import { sha256 } from './testing/fixture.ts';
import { formatTime } from './time.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const layer = (created?: number): { diffId: ReturnType<typeof sha256>; created: number | undefined } => ({
  diffId: sha256('x'),
  created,
});
const run: HistoryEntry = { created_by: 'RUN x' };
const env: HistoryEntry = { created_by: 'ENV a=b', empty_layer: true };
const base: HistoryEntry = { created: '2020-01-01T00:00:00Z', created_by: 'base' };
const baseEnv: HistoryEntry = { ...base, empty_layer: true };

/** `created` of each history entry, with `-` for those without a layer. */
const times = (
  history: readonly HistoryEntry[],
  layers: readonly ReturnType<typeof layer>[],
  epoch?: number,
): string[] => {
  const done = completeConfig({ config: { history }, platform, layers, epoch });
  return (done['history'] as readonly HistoryEntry[]).map(
    ({ created, empty_layer }) => `${empty_layer === true ? '- ' : ''}${created ?? 'none'}`,
  );
};

describe('history', () => {
  const at1 = '1970-01-01T00:00:01Z';
  const at2 = '1970-01-01T00:00:02Z';
  const old = '2020-01-01T00:00:00Z';
  test.each<[string, readonly HistoryEntry[], readonly ReturnType<typeof layer>[], number | undefined, string[]]>([
    ['nothing', [], [], undefined, []],
    ['the time of a layer', [run], [layer(1000)], undefined, [at1]],
    [
      'metadata: the first new layer, then the one before',
      [env, run, env, run],
      [layer(1000), layer(2000)],
      undefined,
      [`- ${at1}`, at1, `- ${at1}`, at2],
    ],
    [
      'base entries keep theirs',
      [base, baseEnv, env, run],
      [layer(), layer(2000)],
      undefined,
      [old, `- ${old}`, `- ${at2}`, at2],
    ],
    ['metadata only on a base', [base, env], [layer()], undefined, [old, `- ${old}`]],
    ['a base that says nothing', [run], [layer(), layer(2000)], undefined, [at2, at2]],
    ['entries for layers that nobody mentions', [base], [layer(), layer(1000)], undefined, [old, at1]],
    ['more entries than layers', [run, run], [layer(1000)], undefined, [at1, `- ${at1}`]],
    ['the epoch bounds ours', [base, env, run], [layer(), layer(5_000_000)], 2, [old, `- ${at2}`, at2]],
    ['the epoch and a younger base', [base, env], [layer()], 2, [old, `- ${at2}`]],
    ['what is older than the epoch stays', [run], [layer(1000)], 2, [at1]],
  ])('%s', (_, history, layers, epoch, expected) => expect(times(history, layers, epoch)).toEqual(expected));
});

describe('created', () => {
  const createdOf = (
    config: Record<string, unknown>,
    layers: readonly ReturnType<typeof layer>[],
    epoch?: number,
  ): unknown => completeConfig({ config, platform, layers, epoch })['created'];
  test("is the last step's", () =>
    expect(createdOf({ history: [run, run] }, [layer(1000), layer(2000)])).toBe('1970-01-01T00:00:02Z'));
  test("is the base's when nothing is added", () =>
    expect(createdOf({ history: [base, env] }, [layer()])).toBe('2020-01-01T00:00:00Z'));
  test('is the epoch of what is added', () =>
    expect(createdOf({ history: [base, env] }, [layer()], 7)).toBe('1970-01-01T00:00:07Z'));
  test("is the base's in spite of the epoch when nothing is added", () =>
    expect(createdOf({ history: [base] }, [layer()], 7)).toBe('2020-01-01T00:00:00Z'));
  test('is left out when nobody knows it', () => expect(createdOf({}, [])).toBeUndefined());
});

test('the rest of the config', () => {
  const done = completeConfig({
    config: { os: 'linux', config: { User: 'x' } },
    platform: { ...platform, variant: 'v2' },
    layers: [layer(1000)],
    epoch: undefined,
  });
  expect(Object.keys(JSON.parse(encodeConfig(done).toString()) as object)).toEqual([
    'architecture',
    'config',
    'created',
    'history',
    'os',
    'rootfs',
    'variant',
  ]);
  expect(done['rootfs']).toEqual({ type: 'layers', diff_ids: [sha256('x')] });
});

test.each([
  [0, '1970-01-01T00:00:00Z'],
  [1500, '1970-01-01T00:00:01.5Z'],
  [1_700_000_000_123, '2023-11-14T22:13:20.123Z'],
  [100_000_000, '1970-01-02T03:46:40Z'],
])('time %d', (ms, text) => expect(formatTime(ms)).toBe(text));
