import { BuildError } from '../index.ts';
import { help, parseCommand, type Command, type Io } from './command.ts';
import { EXIT_CODES } from './exit-code.ts';
import { formatError } from './print-error.ts';

/** Command modules are loaded when they are asked for: a build pays for nothing else. */
const COMMANDS: Readonly<Record<string, { readonly summary: string; load(): Promise<Command> }>> = {
  build: { summary: 'Build an image from a Dockerfile', load: async () => (await import('./build.ts')).buildCommand },
  check: {
    summary: 'Check a Dockerfile without building it',
    load: async () => (await import('./check.ts')).checkCommand,
  },
  images: {
    summary: 'List the images in the local store',
    load: async () => (await import('./images.ts')).imagesCommand,
  },
  inspect: {
    summary: 'Show what an image is, as JSON',
    load: async () => (await import('./images.ts')).inspectCommand,
  },
  history: {
    summary: 'Show the steps that made an image',
    load: async () => (await import('./images.ts')).historyCommand,
  },
  run: { summary: 'Run an image from the local store', load: async () => (await import('./run.ts')).runCommand },
  rmi: { summary: 'Remove images from the local store', load: async () => (await import('./images.ts')).rmiCommand },
  version: {
    summary: 'Show the version and the engine',
    load: async () => (await import('./version.ts')).versionCommand,
  },
};

/** Runs the command line and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (interrupt.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    interrupt.abort(new BuildError({ code: 'cancelled', message: `stopped by ${signal}` }));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const io: Io = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: interrupt.signal,
  };
  // A reader that has gone (`| head`) is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
  });
  process.exitCode = await dispatch(argv, io);
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const command = name === 'help' ? COMMANDS[rest[0] ?? ''] : undefined;
    (name === undefined ? io.stderr : io.stdout).write(command === undefined ? overview() : help(await command.load()));
    return name === undefined ? EXIT_CODES.usage : 0;
  }
  try {
    const entry = Object.hasOwn(COMMANDS, name === '--version' ? 'version' : name)
      ? COMMANDS[name === '--version' ? 'version' : name]
      : undefined;
    if (entry === undefined) throw await unknownCommand(name);
    const command = await entry.load();
    if (wantsHelp(command, rest)) {
      io.stdout.write(help(command));
      return 0;
    }
    return await command.run(await parseCommand(command, rest), io);
  } catch (error) {
    const known = error instanceof BuildError ? error : await unexpected(error);
    io.stderr.write(formatError(known));
    return name === 'run' && known.code !== 'usage' ? 125 : EXIT_CODES[known.code];
  }
}

function wantsHelp(command: Command, argv: readonly string[]): boolean {
  for (const word of argv) {
    if (word === '--' || (command.passThrough && !word.startsWith('-'))) return false;
    if (word === '--help' || (word === '-h' && !command.flags.some((flag) => flag.short === 'h'))) return true;
  }
  return false;
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  return [
    'Usage: slipway COMMAND [OPTIONS]',
    '',
    'Builds container images from Dockerfiles; no daemon.',
    '',
    'Commands:',
    ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'slipway COMMAND --help shows the options of a command.',
    '',
  ].join('\n');
}

async function unknownCommand(name: string): Promise<BuildError> {
  const { closest } = await import('fastest-levenshtein');
  return new BuildError({
    code: 'usage',
    message: `slipway has no command "${name}"`,
    hint: `did you mean "${closest(name, Object.keys(COMMANDS))}"? See: slipway --help`,
  });
}

/** What no room turned into a BuildError is a bug of ours; it is said as one, with where to look. */
async function unexpected(error: unknown): Promise<BuildError> {
  const { systemError } = await import('../index.ts');
  const known = systemError(error);
  if (known !== undefined) return known;
  const text =
    error instanceof Error
      ? process.env['SLIPWAY_DEBUG']
        ? (error.stack ?? error.message)
        : error.message
      : String(error);
  return new BuildError({
    code: 'internal',
    message: `slipway met a case it does not know: ${text}`,
    hint: 'this is a bug; SLIPWAY_DEBUG=1 shows where',
  });
}
