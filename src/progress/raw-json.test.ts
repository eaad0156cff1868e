import { expect, test } from 'vitest';
import type { BuildEvent } from '../contracts/index.ts';
import { createProgress } from './progress.ts';
import { cached, digest, log, status, vertex } from './testing/events.ts';

function lines(...events: BuildEvent[]): unknown[] {
  let text = '';
  const progress = createProgress('rawjson', { write: (part: string) => (text += part) }, { env: {} });
  for (const event of events) progress.sink(event);
  progress.close();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}

test('vertexes', () => {
  expect(
    lines(
      vertex('RUN a', { inputs: ['FROM b'] }),
      vertex('RUN a', { started: 0, completed: 1500.25, error: 'exit code: 1' }),
      cached('RUN b', 10),
    ),
  ).toEqual([
    { vertexes: [{ digest: digest('RUN a'), inputs: [digest('FROM b')], name: 'RUN a' }] },
    {
      vertexes: [
        {
          digest: digest('RUN a'),
          name: 'RUN a',
          started: '2024-01-01T00:00:00Z',
          completed: '2024-01-01T00:00:01.50025Z',
          error: 'exit code: 1',
        },
      ],
    },
    {
      vertexes: [
        {
          digest: digest('RUN b'),
          name: 'RUN b',
          started: '2024-01-01T00:00:00.01Z',
          completed: '2024-01-01T00:00:00.01Z',
          cached: true,
        },
      ],
    },
  ]);
});

test('statuses and logs, byte for byte', () => {
  const data = Buffer.from([0x1b, 0x5b, 0x32, 0x4a, 0xff, 0x0a]);
  expect(lines(status('FROM a', 'sha256:0', 0, 10, { at: 1 }), log('RUN a', data, 2, 2))).toEqual([
    {
      statuses: [
        {
          id: 'sha256:0',
          vertex: digest('FROM a'),
          total: 10,
          current: 0,
          timestamp: '2024-01-01T00:00:00.001Z',
          started: '2024-01-01T00:00:00.001Z',
        },
      ],
    },
    {
      logs: [
        { vertex: digest('RUN a'), stream: 2, data: data.toString('base64'), timestamp: '2024-01-01T00:00:00.002Z' },
      ],
    },
  ]);
});

test('warnings point to their place', () => {
  const text = 'FROM a AS B\n';
  const b64 = (value: string) => Buffer.from(value).toString('base64');
  expect(
    lines({
      type: 'warning',
      vertex: digest('x'),
      rule: 'StageNameCasing',
      message: 'lower case',
      hint: 'Stage names should be lowercase',
      url: 'https://docs.docker.com/go/dockerfile/rule/stage-name-casing/',
      location: {
        file: { filename: 'Dockerfile', text, language: 'Dockerfile' },
        ranges: [{ start: { line: 1, column: 0 }, end: { line: 1, column: 11 } }],
      },
    }),
  ).toEqual([
    {
      warnings: [
        {
          vertex: digest('x'),
          level: 1,
          short: b64('StageNameCasing: lower case (line 1)'),
          detail: [b64('Stage names should be lowercase')],
          url: 'https://docs.docker.com/go/dockerfile/rule/stage-name-casing/',
          sourceInfo: { filename: 'Dockerfile', data: b64(text), language: 'Dockerfile' },
          range: [{ start: { line: 1 }, end: { line: 1, character: 11 } }],
        },
      ],
    },
  ]);
});

test('what BuildKit has no word for is left out', () => {
  expect(
    lines(
      { type: 'engine', engine: 'embedded', detail: '' },
      { type: 'image', digest: digest('i'), names: [], size: 1, layers: 1 },
      { type: 'stage', name: 'a', builtBytes: 1, shippedBytes: 1, estimated: false, final: true },
    ),
  ).toEqual([]);
});
