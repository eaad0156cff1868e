import { BuildError } from '../index.ts';
import { help, parseCommand, type Command, type Io } from './command.ts';
import { EXIT_CODES } from './exit-code.ts';
import { formatError } from './print-error.ts';

/** Command modules are loaded when they are asked for: a build pays for nothing else. */
const COMMANDS: Readonly<Record<string, { readonly summary: string; load(): Promise<Command> }>> = {
  build: { summary: 'Build an image from a Dockerfile', load: async () => (await import('./build.ts')).buildCommand },
  attest: {
    summary: 'Show what is said of an image beside it',
    load: async () => (await import('./attest.ts')).attestCommand,
  },
  check: {
    summary: 'Check a Dockerfile without building it',
    load: async () => (await import('./check.ts')).checkCommand,
  },
  builder: {
    summary: 'Name BuildKit daemons to build on',
    load: async () => (await import('./builder.ts')).builderCommand,
  },
  builds: {
    summary: 'List the builds that are remembered',
    load: async () => (await import('./builds.ts')).buildsCommand,
  },
  diff: {
    summary: 'Show what differs between two builds',
    load: async () => (await import('./diff.ts')).diffCommand,
  },
  du: { summary: 'Show what takes room in the local store', load: async () => (await import('./du.ts')).duCommand },
  explain: {
    summary: 'Say why the steps of a build ran',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  plan: {
    summary: 'Say what a build would run, and why',
    load: async () => (await import('./plan.ts')).planCommand,
  },
  images: {
    summary: 'List the images in the local store',
    load: async () => (await import('./images/list.ts')).imagesCommand,
  },
  index: {
    summary: 'Join images of several platforms to one name, or show what is behind one',
    load: async () => (await import('./image-index.ts')).indexCommand,
  },
  inspect: {
    summary: 'Show what an image is, as JSON',
    load: async () => (await import('./images/inspect.ts')).inspectCommand,
  },
  history: {
    summary: 'Show the steps that made an image',
    load: async () => (await import('./images/history.ts')).historyCommand,
  },
  load: {
    summary: 'Take the images of an archive into the local store',
    load: async () => (await import('./images/transfer.ts')).loadCommand,
  },
  lock: { summary: 'Pin what a build reads from elsewhere', load: async () => (await import('./lock.ts')).lockCommand },
  login: { summary: 'Log in to a registry', load: async () => (await import('./login.ts')).loginCommand },
  logout: { summary: 'Forget the login to a registry', load: async () => (await import('./login.ts')).logoutCommand },
  prune: {
    summary: 'Remove what nothing needs, and what the cache may do without',
    load: async () => (await import('./prune.ts')).pruneCommand,
  },
  pull: {
    summary: 'Pull an image into the local store',
    load: async () => (await import('./images/transfer.ts')).pullCommand,
  },
  push: {
    summary: 'Push an image of the local store to its registry',
    load: async () => (await import('./images/transfer.ts')).pushCommand,
  },
  rmi: {
    summary: 'Remove images from the local store',
    load: async () => (await import('./images/remove.ts')).rmiCommand,
  },
  run: { summary: 'Run an image from the local store', load: async () => (await import('./run.ts')).runCommand },
  save: {
    summary: 'Write images into an archive',
    load: async () => (await import('./images/transfer.ts')).saveCommand,
  },
  tag: {
    summary: 'Give an image another name',
    load: async () => (await import('./images/transfer.ts')).tagCommand,
  },
  version: {
    summary: 'Show the version and the engine',
    load: async () => (await import('./version.ts')).versionCommand,
  },
};

/**
 * Runs the command line and sets the process's exit code.
 *
 * @returns True when a command did its work, as opposed to help and mistakes.
 */
export async function main(argv: readonly string[]): Promise<boolean> {
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
  const { code, done } = await dispatch(argv, io);
  process.exitCode = code;
  return done;
}

interface Outcome {
  readonly code: number;
  readonly done: boolean;
}

/** Docker's commands of several words that are one of ours: `image ls`, `buildx build`. */
const LONG_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  image: {
    ...Object.fromEntries(
      ['build', 'history', 'inspect', 'load', 'prune', 'pull', 'push', 'save', 'tag'].map((name) => [name, name]),
    ),
    ...{ ls: 'images', list: 'images', rm: 'rmi', remove: 'rmi' },
  },
  buildx: { build: 'build', b: 'build', du: 'du', imagetools: 'index', prune: 'prune', version: 'version' },
  system: { df: 'du', prune: 'prune' },
};

function shortened(argv: readonly string[]): readonly string[] {
  const [first = '', second = '', ...rest] = argv;
  const names = Object.hasOwn(LONG_NAMES, first) ? LONG_NAMES[first] : undefined;
  const name = names !== undefined && Object.hasOwn(names, second) ? names[second] : undefined;
  if (name !== undefined) return [name, ...rest];
  if (names === undefined) return argv;
  throw new BuildError({
    code: 'usage',
    message: second === '' ? `${first} needs a command` : `${first} has no command "${second}"`,
    hint: `there are ${Object.keys(names).join(', ')}`,
  });
}

async function dispatch(words: readonly string[], io: Io): Promise<Outcome> {
  let argv = words;
  try {
    argv = shortened(words);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    io.stderr.write(formatError(error));
    return { code: EXIT_CODES.usage, done: false };
  }
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const command = name === 'help' ? COMMANDS[rest[0] ?? ''] : undefined;
    (name === undefined ? io.stderr : io.stdout).write(command === undefined ? overview() : help(await command.load()));
    return { code: name === undefined ? EXIT_CODES.usage : 0, done: false };
  }
  try {
    const entry = Object.hasOwn(COMMANDS, name === '--version' ? 'version' : name)
      ? COMMANDS[name === '--version' ? 'version' : name]
      : undefined;
    if (entry === undefined) throw await unknownCommand(name);
    const command = await entry.load();
    if (wantsHelp(command, rest)) {
      io.stdout.write(help(command));
      return { code: 0, done: false };
    }
    const code = await command.run(await parseCommand(command, rest), io);
    return { code, done: code === 0 };
  } catch (error) {
    const known = error instanceof BuildError ? error : await unexpected(error);
    io.stderr.write(formatError(known));
    return { code: name === 'run' && known.code !== 'usage' ? 125 : EXIT_CODES[known.code], done: false };
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
