import { expect, test } from 'vitest';
import type { BuildEvent } from '../contracts/index.ts';
import { createBuildLog } from './build-log.ts';
import { limitStepLogs } from './log-limit.ts';
import { redactSecrets } from './redact.ts';
import { cached, digest, log, status, t0, vertex } from './testing/events.ts';

const decode = (data: Uint8Array) => Buffer.from(data).toString();

function limited(env: NodeJS.ProcessEnv, ...events: BuildEvent[]): string[] {
  const texts: string[] = [];
  const sink = limitStepLogs((event) => event.type === 'log' && texts.push(decode(event.data)), env);
  for (const event of events) sink(event);
  return texts;
}

test('output is clipped at 2 MiB a stream, with a note', () => {
  const chunk = 'x'.repeat(1024 * 1024);
  const texts = limited(
    { BUILDKIT_STEP_LOG_MAX_SPEED: '-1' },
    log('a', chunk, 0),
    log('a', chunk, 0),
    log('a', 'more', 0),
    log('a', 'and more', 0),
    log('a', 'other stream', 0, 2),
    log('b', 'other step', 0),
  );
  expect(texts.slice(0, 2)).toEqual([chunk, chunk]);
  expect(texts.slice(2)).toEqual(['\n[output clipped, log limit 2MiB reached]\n', 'other stream', 'other step']);
});

test('the last bytes before the limit are kept', () => {
  const env = { BUILDKIT_STEP_LOG_MAX_SIZE: '5', BUILDKIT_STEP_LOG_MAX_SPEED: '-1' };
  expect(limited(env, log('a', 'abc', 0), log('a', 'defg', 0))).toEqual([
    'abc',
    'de\n[output clipped, log limit 5B reached]\n',
  ]);
});

test('output is clipped at 200 KiB a second, and goes on later', () => {
  const chunk = 'x'.repeat(150 * 1024);
  const texts = limited(
    {},
    vertex('a', { started: 0 }),
    log('a', chunk, 500),
    log('a', chunk, 600),
    log('a', 'late', 5000),
  );
  expect(texts[1]).toMatch(/^x{51200}\n\[output clipped, log limit 200KiB\/s reached\]\n$/);
  expect(texts[2]).toBe('late');
});

test('-1 is no limit, nonsense is the default', () => {
  const chunk = 'x'.repeat(3 * 1024 * 1024);
  const off = { BUILDKIT_STEP_LOG_MAX_SIZE: '-1', BUILDKIT_STEP_LOG_MAX_SPEED: '-1' };
  expect(limited(off, log('a', chunk, 0))).toEqual([chunk]);
  expect(limited({ ...off, BUILDKIT_STEP_LOG_MAX_SIZE: 'x' }, log('a', chunk, 0))[0]).toMatch(/limit 2MiB/);
});

function redacted(values: readonly string[], ...events: BuildEvent[]): BuildEvent[] {
  const seen: BuildEvent[] = [];
  const sink = redactSecrets(
    (event) => seen.push(event),
    () => values,
  );
  for (const event of events) sink(event);
  return seen;
}

const output = (events: BuildEvent[]) => events.flatMap((e) => (e.type === 'log' ? [decode(e.data)] : [])).join('');

test.each([
  [['hunter22'], ['pass hunter22 ok\n'], 'pass ***** ok\n'],
  [['hunter22'], ['pass hun', 'ter', '22 ok\n'], 'pass ***** ok\n'],
  [['hunter22'], ['hunhun', 'ter2', '2'], 'hun*****'],
  [['hunter22'], ['hunter', ' and on'], 'hunter and on'],
  [['hunter22'], ['ends with hunt'], 'ends with hunt'],
  [['hunter22\n'], ['hunter22'], '*****'],
  [['abcd', 'abcdef'], ['abcdef'], '*****'],
  [['passwört'], ['passwört'], '*****'],
  [['abc', ''], ['abc'], 'abc'],
  [['-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END'], ['MIIEvQIBADAN\n'], '*****\n'],
])('of secrets %j in %j this is shown: %j', (values, chunks, shown) => {
  const events = redacted(
    values,
    ...chunks.map((chunk, i) => log('a', chunk, i)),
    vertex('a', { started: 0, completed: 9 }),
  );
  expect(output(events)).toBe(shown);
});

test('bytes that are no text pass unchanged', () => {
  const data = Buffer.from([0xff, 0x00, 0xc3, 0x28]);
  const [event] = redacted(['hunter22'], log('a', data, 0));
  expect(event).toMatchObject({ type: 'log', data });
});

test('secrets are hidden wherever they turn up', () => {
  const events = redacted(
    ['hunter22'],
    vertex('RUN echo hunter22', { started: 0, error: 'hunter22 failed' }),
    status('a', 'pushing hunter22', 0, 0, { at: 0 }),
    { type: 'warning', message: 'hunter22', hint: 'hunter22', url: 'http://hunter22' },
    { type: 'engine', engine: 'embedded', detail: 'hunter22' },
  );
  for (const event of events) expect(JSON.stringify(event)).not.toContain('hunter22');
});

test('held back output comes before the end of its step', () => {
  const events = redacted(['hunter22'], log('a', 'x hunt', 0), vertex('a', { started: 0, completed: 1 }));
  expect(events.map(({ type }) => type)).toEqual(['log', 'log', 'vertex']);
});

test('a build record', () => {
  const { sink, record } = createBuildLog();
  const events: BuildEvent[] = [
    { type: 'engine', engine: 'embedded', detail: 'crun' },
    vertex('FROM a'),
    vertex('RUN b', { inputs: ['FROM a'] }),
    cached('FROM a', 5),
    vertex('FROM a'),
    vertex('RUN b', { started: 10, inputs: ['FROM a'] }),
    log('RUN b', 'four', 11),
    log('RUN b', 'five!', 11, 2),
    status('RUN b', 'x', 10, 30, { at: 11 }),
    status('RUN b', 'x', 30, 30, { at: 12 }),
    vertex('RUN b', { started: 10, completed: 20, error: 'exit code: 1', inputs: ['FROM a'] }),
    { type: 'warning', rule: 'R', message: 'm' },
    { type: 'stage', name: 's', builtBytes: 1, shippedBytes: 1, estimated: false, final: true },
    { type: 'image', digest: digest('i'), names: ['n'], size: 1, layers: 1 },
  ];
  for (const event of events) sink(event);
  expect(JSON.parse(JSON.stringify(record()))).toEqual({
    version: 1,
    engine: { engine: 'embedded', detail: 'crun' },
    started: t0 + 5,
    completed: t0 + 20,
    vertices: [
      { digest: digest('FROM a'), name: 'FROM a', inputs: [], started: t0 + 5, completed: t0 + 5, cached: true },
      {
        digest: digest('RUN b'),
        name: 'RUN b',
        inputs: [digest('FROM a')],
        started: t0 + 10,
        completed: t0 + 20,
        error: 'exit code: 1',
        output: 9,
        transferred: 30,
      },
    ],
    warnings: [{ rule: 'R', message: 'm' }],
    stages: [{ name: 's', builtBytes: 1, shippedBytes: 1, estimated: false, final: true }],
    image: { digest: digest('i'), names: ['n'], size: 1, layers: 1 },
  });
});
