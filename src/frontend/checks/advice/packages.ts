/** Package managers: what a command installs, and of what kind. */
import type { Command } from './commands.ts';

/** Of an operating system: `apt-get install curl`. */
export interface SystemInstall {
  readonly manager: 'apt' | 'apk' | 'dnf';
  readonly packages: readonly string[];
  readonly command: Command;
}

const SYSTEM: Readonly<Record<string, readonly [manager: SystemInstall['manager'], verbs: RegExp]>> = {
  apt: ['apt', /^install$/],
  'apt-get': ['apt', /^install$/],
  aptitude: ['apt', /^install$/],
  apk: ['apk', /^add$/],
  dnf: ['dnf', /^(?:install|groupinstall)$/],
  microdnf: ['dnf', /^install$/],
  yum: ['dnf', /^(?:install|groupinstall)$/],
};
/** Flags of these managers that take the next word. */
const VALUE_FLAGS = new Set([
  '-t',
  '--target-release',
  '-o',
  '--option',
  '-c',
  '--virtual',
  '-X',
  '--repository',
  '--root',
  '-p',
]);

export function systemInstall(command: Command): SystemInstall | undefined {
  const [manager, verbs] = (Object.hasOwn(SYSTEM, command.program) ? SYSTEM[command.program] : undefined) ?? [];
  if (manager === undefined || verbs === undefined) return undefined;
  const words = plainWords(command.args);
  const [verb, ...packages] = words;
  if (verb === undefined || !verbs.test(verb)) return undefined;
  return { manager, packages: packages.map((name) => name.replace(/[=<>~:/].*$/, '')), command };
}

/** What is taken away again: packages of `apk del`, `apt-get purge`, `dnf remove`; virtual names of apk too. */
export function systemRemoval(command: Command): readonly string[] {
  if (!Object.hasOwn(SYSTEM, command.program)) return [];
  const [verb, ...packages] = plainWords(command.args);
  return /^(?:del|purge|remove|autoremove|erase)$/.test(verb ?? '') ? packages : [];
}

/** The name that `apk add --virtual NAME` or `-t NAME` gives to what it adds. */
export function virtualName({ args }: Command): string | undefined {
  const joined = args.find((arg) => arg.startsWith('--virtual='));
  if (joined !== undefined) return joined.slice('--virtual='.length);
  const at = args.findIndex((arg) => arg === '--virtual' || arg === '-t');
  return at < 0 ? undefined : args[at + 1];
}

function plainWords(args: readonly string[]): readonly string[] {
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (VALUE_FLAGS.has(arg)) i++;
    else if (!arg.startsWith('-') && !/^\d*>/.test(arg)) words.push(arg);
  }
  return words;
}

/** Of a language: installs what a manifest of the project lists. */
export interface ProjectInstall {
  readonly manager: 'npm' | 'yarn' | 'pnpm' | 'pip' | 'composer' | 'bundle' | 'poetry' | 'go' | 'cargo' | 'dotnet';
  /** The command as a user would write it. */
  readonly text: string;
  /** What it needs of the project, to copy first. */
  readonly manifests: string;
  readonly command: Command;
}

/** Undefined for commands that name packages themselves: these do not depend on the project. */
export function projectInstall(command: Command): ProjectInstall | undefined {
  const { program, args } = command;
  const [verb, ...rest] = args.filter((arg) => !arg.startsWith('-'));
  const made = (manager: ProjectInstall['manager'], manifests: string): ProjectInstall => ({
    manager,
    manifests,
    command,
    text: [program, ...args].slice(0, 3).join(' '),
  });
  const isBare = rest.length === 0;
  switch (program) {
    case 'npm':
      return verb !== undefined && /^(?:ci|install|i|clean-install)$/.test(verb) && isBare
        ? made('npm', 'package.json package-lock.json')
        : undefined;
    case 'yarn':
      return (verb === undefined && !args.some((arg) => arg === '--version' || arg === '-v')) || verb === 'install'
        ? made('yarn', 'package.json yarn.lock')
        : undefined;
    case 'pnpm':
      return verb !== undefined && /^(?:install|i)$/.test(verb) && isBare
        ? made('pnpm', 'package.json pnpm-lock.yaml')
        : undefined;
    case 'python':
    case 'python3':
      return args[0] === '-m' && args[1] === 'pip'
        ? projectInstall({ program: 'pip', args: args.slice(2) })
        : undefined;
    case 'pip':
    case 'pip3': {
      const at = args.findIndex((arg) => /^(?:-r|--requirement)$/.test(arg));
      const file =
        at < 0
          ? args.find((arg) => /^-r.|^--requirement=/.test(arg))?.replace(/^-r|^--requirement=/, '')
          : args[at + 1];
      return verb === 'install' && file !== undefined ? made('pip', file) : undefined;
    }
    case 'composer':
      return verb === 'install' ? made('composer', 'composer.json composer.lock') : undefined;
    case 'bundle':
      return verb === 'install' ? made('bundle', 'Gemfile Gemfile.lock') : undefined;
    case 'poetry':
      return verb === 'install' ? made('poetry', 'pyproject.toml poetry.lock') : undefined;
    case 'go':
      return verb === 'mod' && rest[0] === 'download' ? made('go', 'go.mod go.sum') : undefined;
    case 'cargo':
      return verb === 'fetch' ? made('cargo', 'Cargo.toml Cargo.lock') : undefined;
    case 'dotnet':
      return verb === 'restore' ? made('dotnet', '*.csproj') : undefined;
    default:
      return undefined;
  }
}

/** Compiles, or installs what may have to be compiled. */
export function isBuild({ program, args }: Command): boolean {
  const [verb] = args.filter((arg) => !arg.startsWith('-'));
  switch (program) {
    case 'make':
    case 'cmake':
    case 'ninja':
    case 'meson':
    case 'configure':
    case 'gcc':
    case 'g++':
    case 'cc':
    case 'c++':
    case 'clang':
    case 'rustc':
    case 'javac':
    case 'mvn':
    case 'mvnw':
    case 'gradle':
    case 'gradlew':
    case 'node-gyp':
      return true;
    case 'go':
      return verb === 'build' || verb === 'install';
    case 'cargo':
      return verb === 'build' || verb === 'install';
    case 'dotnet':
      return verb === 'build' || verb === 'publish';
    case 'swift':
      return verb === 'build';
    case 'gem':
    case 'bundle':
    case 'pip':
    case 'pip3':
      return verb === 'install';
    case 'python':
    case 'python3':
      return args[0] === '-m' && args[1] === 'pip' && args[2] === 'install';
    case 'npm':
    case 'yarn':
    case 'pnpm':
      return verb === undefined || /^(?:ci|install|i|rebuild)$/.test(verb);
    default:
      return false;
  }
}
