import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { BuildEvent } from '../contracts/index.ts';
import { createProgress, type ProgressMode } from './progress.ts';
import { cached, digest, log, status, t0, vertex } from './testing/events.ts';

beforeEach(() => void vi.useFakeTimers({ now: t0 }));
afterEach(() => void vi.useRealTimers());

/** An event at its time, milliseconds after t0. */
type Script = readonly (readonly [at: number, event: BuildEvent])[];

function play(script: Script, mode: ProgressMode = 'plain', env: NodeJS.ProcessEnv = {}): string {
  let text = '';
  const progress = createProgress(mode, { write: (part: string) => (text += part) }, { env });
  for (const [at, event] of script) {
    vi.advanceTimersByTime(Math.max(0, t0 + at - Date.now()));
    progress.sink(event);
  }
  progress.close();
  return text;
}

const expected = (strings: TemplateStringsArray) => (strings[0] ?? '').replace(/^\n/, '').replace(/^ {4}/gm, '');

test('a build, step by step', () => {
  const [load, from, copy, run] = [
    '[internal] load build definition from Dockerfile',
    '[build 1/3] FROM docker.io/library/golang:1',
    '[build 2/3] COPY app.go .',
    '[build 3/3] RUN go build',
  ];
  const script: Script = [
    [0, { type: 'engine', engine: 'embedded', detail: 'crun 1.28, overlay' }],
    [0, vertex(load, { started: 0 })],
    [0, status(load, 'transferring dockerfile:', 120, 0, { at: 0, completed: 0 })],
    [8, vertex(load, { started: 0, completed: 8 })],
    [9, vertex(from)],
    [9, vertex(copy, { inputs: [from] })],
    [9, vertex(run, { inputs: [copy] })],
    [10, cached(from, 10)],
    [10, cached(copy, 10)],
    [11, vertex(run, { started: 11 })],
    [134, log(run, 'go: downloading\nhalf a ', 134)],
    [345, log(run, 'line\n', 345)],
    [12_000, log(run, 'late\n', 12_000, 2)],
    [130_000, log(run, 'no newline', 130_000)],
    [130_011, vertex(run, { started: 11, completed: 130_011 })],
  ];
  expect(play(script)).toBe(expected`
    #0 building with the embedded engine: crun 1.28, overlay

    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 120B done
    #1 DONE 0.0s

    #2 [build 1/3] FROM docker.io/library/golang:1
    #2 CACHED

    #3 [build 2/3] COPY app.go .
    #3 CACHED

    #4 [build 3/3] RUN go build
    #4 0.123 go: downloading
    #4 0.123 half a line
    #4 11.99 late
    #4 130.0 no newline
    #4 DONE 130.0s
    `);
});

test('steps at the same time are written in blocks', () => {
  const script: Script = [
    [0, vertex('RUN a', { started: 0 })],
    [0, vertex('RUN b', { started: 0 })],
    [0, vertex('RUN c', { started: 0 })],
    [200, log('RUN a', 'a1\n', 200)],
    [300, log('RUN b', 'b1\n', 300)],
    [400, log('RUN a', 'a2\n', 400)],
    // A step that ends is written at once; the one that had the floor goes on afterwards.
    [1000, vertex('RUN c', { started: 0, completed: 1000 })],
    [1200, log('RUN a', 'a3\n', 1200)],
    // Nobody waits for ever.
    [7000, log('RUN a', 'a4\n', 7000)],
    [9000, vertex('RUN b', { started: 0, completed: 9000, error: 'exit code: 1' })],
    [9100, vertex('RUN a', { started: 0, completed: 9100, error: 'context canceled' })],
  ];
  expect(play(script)).toBe(expected`
    #1 RUN a
    #1 0.200 a1
    #1 0.400 a2
    #1 ...

    #3 RUN c
    #3 DONE 1.0s

    #2 RUN b
    #2 0.300 b1
    #2 ...

    #1 RUN a
    #1 1.200 a3
    #1 7.000 a4
    #1 ...

    #2 RUN b
    #2 ERROR: exit code: 1

    #1 RUN a
    #1 CANCELED
    `);
});

test('transfers are written when they have moved', () => {
  const from = 'FROM alpine';
  const id = 'sha256:0123';
  const script: Script = [
    [0, vertex(from, { started: 0 })],
    [10, status(from, id, 0, 30_000_000, { at: 10 })],
    [200, status(from, id, 1_000_000, 30_000_000, { at: 200, started: 10 })],
    [400, status(from, id, 3_400_000, 30_000_000, { at: 400, started: 10 })],
    [500, status(from, id, 3_500_000, 30_000_000, { at: 500, started: 10 })],
    [5600, status(from, id, 3_600_000, 30_000_000, { at: 5600, started: 10 })],
    [6000, status(from, id, 30_000_000, 30_000_000, { at: 6000, started: 10, completed: 6000 })],
    [6100, vertex(from, { started: 0, completed: 6100 })],
  ];
  expect(play(script)).toBe(expected`
    #1 FROM alpine
    #1 sha256:0123 0B / 30.00MB
    #1 sha256:0123 3.40MB / 30.00MB 0.4s
    #1 sha256:0123 3.60MB / 30.00MB 5.6s
    #1 sha256:0123 30.00MB / 30.00MB 6.0s done
    #1 DONE 6.1s
    `);
});

test('a step that was cached and is needed after all', () => {
  const script: Script = [
    [0, cached('FROM a', 0)],
    [200, vertex('FROM a', { started: 200 })],
    [1200, vertex('FROM a', { started: 200, completed: 1200 })],
    [1300, vertex('FROM a')],
  ];
  expect(play(script)).toBe(expected`
    #1 FROM a
    #1 CACHED

    #1 FROM a
    #1 DONE 1.0s
    `);
});

test('layers that are pulled after their image was found', () => {
  const pull = (id: string, current: number, at: number, completed?: number) =>
    [at, status('FROM a', id, current, 1000, { at, started: 2000, completed })] as const;
  const script: Script = [
    [0, cached('FROM a', 0)],
    [1000, vertex('RUN b', { started: 1000 })],
    pull('sha256:1', 0, 2000),
    pull('sha256:2', 0, 2000),
    pull('sha256:1', 1000, 2500, 2500),
    [2600, log('RUN b', 'b\n', 2600)],
    pull('sha256:2', 1000, 3000, 3000),
    [4000, vertex('RUN b', { started: 1000, completed: 4000 })],
  ];
  expect(play(script)).toBe(expected`
    #1 FROM a
    #1 CACHED

    #2 RUN b
    #2 1.600 b
    #2 ...

    #1 FROM a
    #1 sha256:1 1.00kB / 1.00kB 0.5s done
    #1 sha256:2 1.00kB / 1.00kB 1.0s done
    #1 DONE 1.0s

    #2 RUN b
    #2 DONE 3.0s
    `);
});

test('a step ends with its last transfer, at the latest with the build', () => {
  const script: Script = [
    [0, vertex('FROM a', { started: 0 })],
    [1, status('FROM a', 'sha256:1', 0, 1000, { at: 1 })],
    [2, vertex('FROM a', { started: 0, completed: 2 })],
    [300, status('FROM a', 'sha256:1', 1000, 1000, { at: 300, started: 1, completed: 300 })],
    [300, vertex('FROM b', { started: 300 })],
    [301, status('FROM b', 'sha256:2', 100, 1000, { at: 400 })],
    [302, vertex('FROM b', { started: 300, completed: 302 })],
  ];
  expect(play(script)).toBe(expected`
    #1 FROM a
    #1 sha256:1 0B / 1.00kB
    #1 sha256:1 1.00kB / 1.00kB 0.3s done
    #1 DONE 0.3s

    #2 FROM b
    #2 sha256:2 100B / 1.00kB
    #2 DONE 0.1s
    `);
});

test('warnings, stages and the image come last', () => {
  const location = {
    file: { filename: 'Dockerfile', text: '', language: 'Dockerfile' as const },
    ranges: [{ start: { line: 3, column: 0 }, end: { line: 3, column: 4 } }],
  };
  const warning = {
    type: 'warning',
    rule: 'StageNameCasing',
    message: "Stage name 'Build' should be lowercase",
    location,
  } as const;
  const script: Script = [
    [0, warning],
    [0, warning],
    [0, { type: 'warning', message: 'old' }],
    [0, cached('RUN a', 0)],
    [0, { type: 'stage', name: 'sass', builtBytes: 611_400_000, shippedBytes: 214, estimated: false, final: false }],
    [
      0,
      { type: 'stage', name: 'go', builtBytes: 1_300_000_000, shippedBytes: 2_000_000, estimated: true, final: false },
    ],
    [
      0,
      { type: 'stage', name: 'stage-2', builtBytes: 3_100_000, shippedBytes: 3_100_000, estimated: true, final: true },
    ],
    [0, { type: 'image', digest: digest('i'), names: ['x'], size: 3_100_000, layers: 2 }],
  ];
  expect(play(script)).toBe(expected`
    #1 RUN a
    #1 CACHED

    2 warnings found:
     - StageNameCasing: Stage name 'Build' should be lowercase (line 3)
     - old

    sass 611 MB built, 214 B shipped
    go ~1.3 GB built, 2 MB shipped
    stage-2 ~3.1 MB built, ~3.1 MB shipped
    image sha256:6900000000000000000000000000000000000000000000000000000000000000 3.1 MB in 2 layers
    `);
});

test('what steps print cannot control the terminal', () => {
  const name = 'RUN \x1b]0;title\x07echo\n#2 forged\u202e';
  const script: Script = [
    [0, vertex(name, { started: 0 })],
    [0, log(name, '\x1b[31mred\x1b[2J \x1b]52;c;aGk=\x07\x1bcx\n', 1)],
    [0, log(name, '10%\r50%\r100%\r\nend\x9b5A\b\x00\n', 2)],
    [0, log(name, Buffer.from([0xc3]), 3)],
    [0, log(name, Buffer.from([0xa9, 0x0a]), 4)],
    [0, vertex(name, { started: 0, completed: 10, error: 'bad\x1b[2J\nthing' })],
  ];
  const text = play(script);
  expect(text).toBe(
    [
      '#1 RUN echo #2 forged',
      '#1 0.001 \x1b[31mred x\x1b[0m',
      '#1 0.002 100%',
      '#1 0.002 end',
      '#1 0.004 é',
      '#1 ERROR: bad thing',
      '',
    ].join('\n'),
  );
  expect(play(script, 'plain', { NO_COLOR: '1' })).toContain('#1 0.001 red x\n');
});

test('says nothing before a build begins or in quiet mode', () => {
  expect(play([[0, vertex('RUN a')]])).toBe('');
  expect(
    play(
      [
        [0, cached('RUN a', 0)],
        [0, { type: 'warning', message: 'x' }],
      ],
      'quiet',
    ),
  ).toBe('');
});

test('many lines are written together', () => {
  let writes = 0;
  const progress = createProgress('plain', { write: () => writes++ }, { env: {} });
  progress.sink(vertex('RUN a', { started: 0 }));
  for (let i = 0; i < 1000; i++) progress.sink(log('RUN a', `line ${i}\n`, i));
  vi.advanceTimersByTime(150);
  expect(writes).toBe(2);
  progress.close();
});
