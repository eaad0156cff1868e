import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { BuildEvent } from '../contracts/index.ts';
import { createProgress } from './progress.ts';
import { cached, log, status, t0, vertex } from './testing/events.ts';
import { VirtualTerminal } from './testing/virtual-terminal.ts';
import { clip, loadWidths, textWidth } from './width.ts';

beforeEach(() => void vi.useFakeTimers({ now: t0 }));
afterEach(() => void vi.useRealTimers());

function show(columns: number, rows: number, env: NodeJS.ProcessEnv = {}) {
  const terminal = new VirtualTerminal(columns, rows);
  const progress = createProgress('tty', terminal, { env });
  const at = (time: number, ...events: BuildEvent[]) => {
    vi.advanceTimersByTime(Math.max(0, t0 + time - Date.now()));
    for (const event of events) progress.sink(event);
  };
  /** Lets the next picture come. */
  const settle = () => vi.advanceTimersByTime(100);
  return { terminal, progress, at, settle };
}

test('draws what is done and what runs, in place', () => {
  const { terminal, progress, at, settle } = show(70, 20);
  at(0, vertex('[1/3] FROM alpine'), vertex('[2/3] COPY . .'), vertex('[3/3] RUN make'));
  at(0, cached('[1/3] FROM alpine', 0), vertex('[2/3] COPY . .', { started: 0 }));
  at(300, vertex('[2/3] COPY . .', { started: 0, completed: 300 }), vertex('[3/3] RUN make', { started: 300 }));
  at(400, log('[3/3] RUN make', 'compiling\n\nlinking 10%\rlinking 50%', 400));
  settle();
  expect(terminal.screen).toEqual([
    '[+] Building 0.5s (2/3)',
    ' => CACHED [1/3] FROM alpine                                     0.0s',
    ' => [2/3] COPY . .                                               0.3s',
    ' => [3/3] RUN make                                               0.2s',
    ' => => # compiling',
    ' => => # linking 50%',
    '',
  ]);
  // Time goes on without events.
  vi.advanceTimersByTime(1000);
  expect(terminal.screen[0]).toBe('[+] Building 1.5s (2/3)');
  at(2300, vertex('[3/3] RUN make', { started: 300, completed: 2300 }));
  progress.sink({ type: 'stage', name: 'build', builtBytes: 10, shippedBytes: 10, estimated: false, final: true });
  progress.close();
  expect(terminal.text).toBe(
    [
      '[+] Building 2.3s (3/3) FINISHED',
      ' => CACHED [1/3] FROM alpine                                     0.0s',
      ' => [2/3] COPY . .                                               0.3s',
      ' => [3/3] RUN make                                               2.0s',
      '',
      'build 10 B built, 10 B shipped',
    ].join('\n'),
  );
  expect(terminal.cursorVisible).toBe(true);
  expect(terminal.listeners).toBe(0);
});

test('downloads have bars', () => {
  const { terminal, at, settle } = show(90, 20);
  at(0, vertex('FROM alpine', { started: 0 }));
  at(50, status('FROM alpine', 'sha256:0123', 15_000_000, 30_000_000, { at: 50, started: 0 }));
  at(50, status('FROM alpine', 'sha256:4567', 3_400_000, 3_400_000, { at: 50, started: 0, completed: 50 }));
  settle();
  const line = (left: string, right: string) => left.padEnd(89 - right.length) + right;
  expect(terminal.screen.slice(1)).toEqual([
    line(' => FROM alpine', '0.1s'),
    line(' => => sha256:0123', '[==========          ] 15.00MB / 30.00MB 0.1s'),
    line(' => => sha256:4567', '[====================] 3.40MB / 3.40MB 0.1s').replace(/\[=+\]/, ' '.repeat(22)),
    '',
  ]);
});

test('never draws more than fits, and leaves everything at the end', () => {
  const { terminal, progress, at, settle } = show(40, 8);
  for (let i = 0; i < 12; i++) at(0, vertex(`step ${i}`, { started: 0, completed: 0 }));
  at(0, vertex('running first', { started: 0 }));
  for (let i = 12; i < 18; i++) at(0, vertex(`step ${i}`, { started: 0, completed: 0 }));
  at(10, log('running first', 'some\noutput\n', 10));
  settle();
  expect(terminal.screen).toHaveLength(8);
  expect(terminal.screen[0]).toBe('[+] Building 0.1s (18/19)');
  expect(terminal.screen.join('\n')).toContain('=> running first');
  for (let i = 0; i < 10; i++) settle();
  at(2000, vertex('running first', { started: 0, completed: 2000 }));
  progress.close();
  const lines = terminal.text.split('\n');
  expect(lines).toHaveLength(20);
  expect(lines[0]).toBe('[+] Building 2.0s (19/19) FINISHED');
  expect(lines.filter((line) => line.includes('step 0'))).toHaveLength(1);
});

test('a terminal that changes its size', () => {
  const { terminal, progress, at, settle } = show(80, 20);
  at(0, vertex('[1/2] RUN a-command-that-is-rather-long --with --many --options', { started: 0 }));
  at(0, vertex('[2/2] RUN other', { started: 0 }));
  settle();
  terminal.resize(40, 20);
  expect(terminal.text).toBe(
    [
      '[+] Building 0.1s (0/2)',
      ' => [1/2] RUN a-command-that-is-ra 0.1s',
      ' => [2/2] RUN other                0.1s',
    ].join('\n'),
  );
  terminal.resize(60, 20);
  settle();
  expect(terminal.text.split('\n')).toHaveLength(3);
  progress.close();
  expect(terminal.text.split('\n')).toHaveLength(3);
});

test('errors and stopped steps', () => {
  const { terminal, progress, at } = show(60, 20);
  at(0, vertex('RUN a', { started: 0 }), vertex('RUN b', { started: 0 }));
  at(100, vertex('RUN a', { started: 0, completed: 100, error: 'exit code: 1' }));
  at(100, vertex('RUN b', { started: 0, completed: 100, error: 'context canceled' }));
  progress.close();
  expect(terminal.text).toBe(
    [
      '[+] Building 0.1s (2/2) FINISHED',
      ' => ERROR RUN a                                        0.1s',
      ' => CANCELED RUN b                                     0.1s',
    ].join('\n'),
  );
});

test('output cannot control the terminal', () => {
  // The virtual terminal fails on any sequence that is not ours.
  const { terminal, at, settle } = show(60, 20);
  const name = 'RUN \x1b[2Jx\x1b]0;t\x07';
  at(0, vertex(name, { started: 0 }));
  at(10, log(name, '\x1b[31mred\x1b[0m \x1b[10;10Hmoved\x1b[?1049h\x1bPq\x1b\\\n\ttab\x07\n', 10));
  settle();
  expect(terminal.screen.slice(1, 4)).toEqual([
    ' => RUN x                                              0.1s',
    ' => => # red moved',
    ' => => #     tab',
  ]);
});

test('colours follow NO_COLOR', () => {
  const written = (env: NodeJS.ProcessEnv) => {
    let text = '';
    const stream = { isTTY: true, columns: 80, rows: 24, write: (part: string) => (text += part) };
    const progress = createProgress('tty', stream, { env });
    progress.sink(cached('RUN a', 0));
    progress.close();
    return text;
  };
  expect(written({})).toContain('\x1b[34m');
  expect(written({ NO_COLOR: '1' })).not.toMatch(/\x1b\[\d*m/);
});

test('tty needs a terminal, auto takes what there is', () => {
  const stream = { write: () => undefined };
  expect(() => createProgress('tty', stream, { env: {} })).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  const texts: Record<string, string> = {};
  for (const [name, isTTY, TERM] of [
    ['pipe', false, 'xterm'],
    ['terminal', true, 'xterm'],
    ['dumb', true, 'dumb'],
  ] as const) {
    const progress = createProgress(
      'auto',
      { isTTY, write: (t: string) => (texts[name] = (texts[name] ?? '') + t) },
      { env: { TERM } },
    );
    progress.sink(cached('RUN a', 0));
    progress.close();
  }
  expect(texts['pipe']).toBe('#1 RUN a\n#1 CACHED\n');
  expect(texts['dumb']).toBe(texts['pipe']);
  expect(texts['terminal']).toContain('[+] Building');
});

test('widths', async () => {
  vi.useRealTimers();
  expect(textWidth('日本')).toBe(4);
  await loadWidths();
  expect(textWidth('日本é👩‍👩‍👧\x1b[31m!\x1b[0m')).toBe(8);
  expect(clip('日本語', 5)).toBe('日本');
  expect(clip('\x1b[31mabcdef\x1b[0m', 3)).toBe('\x1b[31mabc\x1b[0m');
  expect(clip('abc', 3)).toBe('abc');
});
