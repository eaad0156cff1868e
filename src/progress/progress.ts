import { BuildError, type BuildEventSink } from '../contracts/index.ts';
import { limitStepLogs } from './log-limit.ts';
import { createPlain } from './plain.ts';
import { createRawJson } from './raw-json.ts';
import { redactSecrets } from './redact.ts';
import type { ProgressStream } from './stream.ts';
import { createTty } from './tty.ts';

/** `auto` is `tty` on a terminal and `plain` elsewhere. */
export const PROGRESS_MODES = ['auto', 'tty', 'plain', 'rawjson', 'quiet'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

export function isProgressMode(text: string): text is ProgressMode {
  return (PROGRESS_MODES as readonly string[]).includes(text);
}

export interface ProgressOptions {
  /** For NO_COLOR, TERM and the limits of step logs. Default: the process'. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Values never to show; asked with every event. */
  readonly secrets?: (() => Iterable<string>) | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

export interface Progress {
  readonly sink: BuildEventSink;
  /** Writes what is left, and the summary. */
  close(): void;
}

/** Errors: `usage` when `tty` is asked for and `stream` is no terminal. */
export function createProgress(mode: ProgressMode, stream: ProgressStream, options: ProgressOptions = {}): Progress {
  const { env = process.env, secrets, now = () => Date.now() } = options;
  const display = createDisplay(mode, stream, env, now);
  const limited = limitStepLogs(display.sink, env);
  return {
    sink: secrets === undefined ? limited : redactSecrets(limited, secrets),
    close: () => display.close(),
  };
}

function createDisplay(
  mode: ProgressMode,
  stream: ProgressStream,
  env: NodeJS.ProcessEnv,
  now: () => number,
): Progress {
  const terminal = stream.isTTY === true;
  const colors = (env['NO_COLOR'] ?? '') === '';
  switch (mode) {
    case 'auto':
      return createDisplay(terminal && env['TERM'] !== 'dumb' ? 'tty' : 'plain', stream, env, now);
    case 'tty':
      if (!terminal) {
        throw new BuildError({
          code: 'usage',
          message: '--progress tty needs a terminal to write to',
          hint: 'use --progress plain, or leave it out: auto chooses what fits',
        });
      }
      return createTty(stream, { colors, now });
    case 'plain':
      return createPlain(stream, { colors, now });
    case 'rawjson':
      return { sink: createRawJson(stream), close: () => undefined };
    case 'quiet':
      return { sink: () => undefined, close: () => undefined };
  }
}
