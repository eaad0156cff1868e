import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { BuildError } from '../index.ts';

/** One flag; the table of them makes parsing, help and docs. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** Placeholder of its value in help; absent = a switch. */
  readonly value?: string;
  /** The value may be left out; else it follows `=`. Without it, `text` says `''`. */
  readonly optional?: true;
  readonly multiple?: true;
  /** Named below the list only: it is taken for the sake of others and does nothing. */
  readonly hidden?: true;
  readonly help: string;
}

/** Where a command reads and writes; the process in the CLI, memory in tests. */
export interface Io {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** After `slipway NAME`, as `[OPTIONS] CONTEXT`. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** True when everything after the first positional belongs to it (`slipway run IMAGE COMMAND...`). */
  readonly passThrough?: true;
  /** Resolves with the exit code. */
  run(parsed: Parsed, io: Io): Promise<number>;
}

/** The words of a command line, sorted by the table. */
export interface Parsed {
  readonly positionals: readonly string[];
  /** The last value given. */
  text(name: string): string | undefined;
  /** Every value given. */
  list(name: string): readonly string[];
  on(name: string): boolean;
}

/** Errors: `usage` for a flag that is unknown, lacks its value, or has one that it does not take. */
export async function parseCommand(command: Command, argv: readonly string[]): Promise<Parsed> {
  const options: ParseArgsOptionsConfig = Object.fromEntries(
    command.flags.map((flag) => [
      flag.name,
      {
        type: flag.value === undefined || flag.optional === true ? 'boolean' : 'string',
        multiple: true,
        ...(flag.short && { short: flag.short }),
      },
    ]),
  );
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
  const known = new Map(command.flags.map((flag) => [flag.name, flag]));
  const values = new Map<string, string[]>();
  let positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      if (command.passThrough) {
        positionals = argv.slice(token.index);
        break;
      }
      positionals.push(token.value);
      continue;
    }
    const flag = known.get(token.name);
    if (flag === undefined) throw await unknownFlag(command, token.rawName);
    if (flag.value === undefined) {
      const value = token.value ?? 'true';
      if (value !== 'true' && value !== 'false') {
        throw usage(command, `${token.rawName} is a switch; it takes true or false, not "${value}"`);
      }
      values.set(flag.name, [value]);
    } else {
      if (token.value === undefined && flag.optional !== true)
        throw usage(command, `${token.rawName} needs a value: ${token.rawName} ${flag.value}`);
      const list = values.get(flag.name) ?? [];
      list.push(token.value ?? '');
      values.set(flag.name, list);
    }
  }
  return {
    positionals,
    text: (name) => values.get(name)?.at(-1),
    list: (name) => values.get(name) ?? [],
    on: (name) => values.get(name)?.at(-1) === 'true',
  };
}

/** A usage error that points to the command's help. */
export function usage(command: Command, message: string): BuildError {
  return new BuildError({ code: 'usage', message, hint: `see: slipway ${command.name} --help` });
}

async function unknownFlag(command: Command, rawName: string): Promise<BuildError> {
  const { closest } = await import('fastest-levenshtein');
  const near = closest(
    rawName,
    command.flags.map((flag) => `--${flag.name}`),
  );
  return new BuildError({
    code: 'usage',
    message: `slipway ${command.name} has no flag ${rawName}`,
    hint:
      near === '' ? `see: slipway ${command.name} --help` : `did you mean ${near}? See: slipway ${command.name} --help`,
  });
}

/** What `slipway NAME --help` prints. */
export function help(command: Command): string {
  const flags = command.flags.filter(({ hidden }) => hidden !== true);
  const ignored = command.flags.filter(({ hidden }) => hidden === true).map(({ name }) => `--${name}`);
  const left = flags.map(
    (flag) =>
      `${flag.short ? `-${flag.short}, ` : '    '}--${flag.name}${flag.value === undefined ? '' : flag.optional ? `[=${flag.value}]` : ` ${flag.value}`}`,
  );
  const width = Math.max(0, ...left.map((text) => text.length));
  const lines = flags.map((flag, i) => `  ${(left[i] ?? '').padEnd(width)}  ${flag.help}`);
  return [
    `Usage: slipway ${command.name} ${command.usage}`.trimEnd(),
    '',
    command.summary,
    ...(lines.length ? ['', 'Options:', ...lines] : []),
    ...(ignored.length ? ['', 'Taken as docker build takes them, without effect:', `  ${ignored.join(' ')}`] : []),
    '',
  ].join('\n');
}
