import { parseDuration } from '../duration.ts';
import { flagWord, flagWords, type FlagTable } from '../flags.ts';
import { rangeOf, wordOf } from '../lines.ts';
import { checkMount } from '../mount.ts';
import { isSpaceAt, type Span } from '../space.ts';
import { argsArray, type Statement } from '../statement.ts';
import type {
  CmdInstruction,
  CommandForm,
  EntrypointInstruction,
  HealthcheckInstruction,
  RunInstruction,
  ShellInstruction,
  Word,
} from '../types.ts';
import { baseOf, instructionError, needArgs, takeFlags } from './base.ts';
import { nearest } from '../nearest.ts';

const RUN_FLAGS: FlagTable = { mount: 'strings', network: 'string', security: 'string', device: 'strings' };
const HEALTHCHECK_FLAGS: FlagTable = {
  interval: 'string',
  timeout: 'string',
  'start-period': 'string',
  'start-interval': 'string',
  retries: 'string',
};
/** Values of `RUN --network`. */
const NETWORK_MODES = ['default', 'none', 'host'] as const;
/** Values of `RUN --security`. */
const SECURITY_MODES = ['sandbox', 'insecure'] as const;
/** The shortest time of a health check, in nanoseconds (Docker's container.MinimumDuration); 0 = inherit. */
const MIN_DURATION = 1e6;
/** HEALTHCHECK --retries is an int32. */
const MAX_RETRIES = 2 ** 31 - 1;

function commandForm(statement: Statement, span: Span = statement.args): CommandForm {
  const range = rangeOf(statement.line, span);
  const array = argsArray(statement, span);
  if (array.kind === 'array') return { form: 'exec', args: array.items.map((item) => item.value), range };
  return { form: 'shell', text: statement.line.text.slice(span.start, span.end), range };
}

export function parseRun(statement: Statement): RunInstruction {
  const { flags, line } = statement;
  takeFlags(statement, RUN_FLAGS);
  const mounts = flagWords(flags, 'mount');
  for (const mount of mounts) checkMount(mount.text, { file: line.file, ranges: [mount.range] });
  const network = flagWord(flags, 'network');
  const security = flagWord(flags, 'security');
  checkMode(statement, 'network', network, NETWORK_MODES);
  checkMode(statement, 'security', security, SECURITY_MODES);
  return {
    ...baseOf(statement),
    name: 'RUN',
    command: commandForm(statement),
    heredocs: statement.heredocs,
    mounts,
    network,
    security,
    devices: flagWords(flags, 'device'),
  };
}

/** A value with a variable is checked when it is known. */
function checkMode(statement: Statement, flag: string, value: Word | undefined, known: readonly string[]): void {
  if (value === undefined || value.text.includes('$') || known.includes(value.text)) return;
  const near = nearest(value.text, known);
  throw instructionError(
    statement,
    `--${flag} is ${known.join(', ').replace(/, (?=[^,]*$)/, ' or ')}, not ${JSON.stringify(value.text)}`,
    near === undefined ? undefined : `did you mean ${near}?`,
    value.range,
  );
}

export function parseCmd(statement: Statement): CmdInstruction {
  takeFlags(statement);
  return { ...baseOf(statement), name: 'CMD', command: commandForm(statement) };
}

export function parseEntrypoint(statement: Statement): EntrypointInstruction {
  takeFlags(statement);
  return { ...baseOf(statement), name: 'ENTRYPOINT', command: commandForm(statement) };
}

/** `SHELL ["executable", "parameters"]`, JSON form only. */
export function parseShell(statement: Statement): ShellInstruction {
  takeFlags(statement);
  needArgs(statement, 'SHELL ["/bin/bash", "-c"]');
  const command = commandForm(statement);
  if (command.form === 'shell') {
    const words = command.text.split(/\s+/);
    throw instructionError(
      statement,
      'SHELL takes a JSON array',
      `write SHELL ${JSON.stringify(words).replaceAll(',', ', ')}`,
      command.range,
    );
  }
  if (command.args.length === 0) throw instructionError(statement, 'SHELL requires at least one argument');
  return { ...baseOf(statement), name: 'SHELL', shell: command.args };
}

/** `HEALTHCHECK [--interval= --timeout= --start-period= --start-interval= --retries=] CMD command`, or `HEALTHCHECK NONE`. */
export function parseHealthcheck(statement: Statement): HealthcheckInstruction {
  needArgs(statement, 'HEALTHCHECK CMD curl -f http://localhost/');
  const { kind, command } = cutHealthcheck(statement);
  const base = { ...baseOf(statement), name: 'HEALTHCHECK' as const };
  if (kind.text.toUpperCase() === 'NONE') {
    if (command.end > command.start) {
      throw instructionError(
        statement,
        'HEALTHCHECK NONE takes no arguments',
        'leave them out',
        rangeOf(statement.line, command),
      );
    }
    return { ...base, check: { kind: 'none' } };
  }
  takeFlags(statement, HEALTHCHECK_FLAGS);
  if (kind.text.toUpperCase() !== 'CMD') {
    throw instructionError(
      statement,
      `HEALTHCHECK knows CMD and NONE, not ${kind.text}`,
      'write HEALTHCHECK CMD command',
      kind.range,
    );
  }
  const form = commandForm(statement, command);
  if (form.form === 'exec' ? form.args.length === 0 : form.text === '') {
    throw instructionError(statement, 'HEALTHCHECK CMD has no command', 'write HEALTHCHECK CMD command');
  }
  return {
    ...base,
    check: {
      kind: 'cmd',
      command: form,
      interval: duration(statement, 'interval'),
      timeout: duration(statement, 'timeout'),
      startPeriod: duration(statement, 'start-period'),
      startInterval: duration(statement, 'start-interval'),
      retries: retries(statement),
    },
  };
}

function cutHealthcheck(statement: Statement): { kind: Word; command: Span } {
  const { text } = statement.line;
  const { start, end } = statement.args;
  let at = start;
  while (at < end && !isSpaceAt(text, at)) at++;
  const kind = wordOf(statement.line, { start, end: at });
  while (at < end && isSpaceAt(text, at)) at++;
  return { kind, command: { start: at, end } };
}

function duration(statement: Statement, flag: string): number | undefined {
  const value = flagWord(statement.flags, flag);
  if (value === undefined) return undefined;
  const nanoseconds = parseDuration(value.text);
  if (nanoseconds === undefined) {
    throw instructionError(
      statement,
      `--${flag}=${value.text} is no duration`,
      'write a number with a unit, as 30s, 1m30s or 500ms',
      value.range,
    );
  }
  if (nanoseconds === 0) return undefined;
  if (nanoseconds < MIN_DURATION) {
    throw instructionError(statement, `--${flag} cannot be less than 1ms`, 'write 0s to inherit it', value.range);
  }
  return nanoseconds;
}

function retries(statement: Statement): number | undefined {
  const value = flagWord(statement.flags, 'retries');
  if (value === undefined) return undefined;
  const count = /^[-+]?\d+$/.test(value.text) ? Number(value.text) : NaN;
  if (!(count >= 0 && count <= MAX_RETRIES)) {
    throw instructionError(
      statement,
      `--retries=${value.text} is no count`,
      'write a whole number, 0 or more',
      value.range,
    );
  }
  return count === 0 ? undefined : count;
}
