import type { Report, Rule, RunInstruction } from '../../../dockerfile/index.ts';
import { stepMounts, stepsOf } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';
import { runCommands } from './commands.ts';
import type { Command } from './commands.ts';
import { projectInstall, systemInstall } from './packages.ts';

/** A package manager, what it leaves behind, and what says that it does not. */
interface CacheKind {
  readonly message: string;
  installs(command: Command): boolean;
  /** A command of the same RUN that leaves nothing. */
  cleans(command: Command): boolean;
  /** A mount with this in its target keeps the cache out of the image. */
  readonly mount: RegExp;
  /** A variable that turns the cache off. */
  readonly variable?: string;
  readonly hint: string;
}

const removes =
  (path: RegExp) =>
  ({ program, args }: Command): boolean =>
    (program === 'rm' || program === 'find') && args.some((arg) => path.test(arg));

const KINDS: readonly CacheKind[] = [
  {
    message: 'the package lists of apt, in /var/lib/apt/lists, end up in the image',
    installs: (command) => systemInstall(command)?.manager === 'apt',
    cleans: removes(/^\/var\/lib\/apt/),
    mount: /^\/var\/(?:lib\/apt|lib)?(?:\/|$)/,
    hint: 'end the RUN with && rm -rf /var/lib/apt/lists/*, or give it --mount=type=cache,target=/var/lib/apt,sharing=locked --mount=type=cache,target=/var/cache/apt,sharing=locked',
  },
  {
    message: 'the index of apk, in /var/cache/apk, ends up in the image',
    installs: (command) => systemInstall(command)?.manager === 'apk' && !command.args.includes('--no-cache'),
    cleans: removes(/^\/var\/cache/),
    mount: /\/apk/,
    hint: 'write apk add --no-cache',
  },
  {
    message: 'the cache of dnf ends up in the image',
    installs: (command) => systemInstall(command)?.manager === 'dnf',
    cleans: (command) =>
      removes(/^\/var\/cache/)(command) || (/dnf$|^yum$/.test(command.program) && command.args.includes('clean')),
    mount: /^\/var\/cache/,
    hint: 'end the RUN with && dnf clean all, or give it --mount=type=cache,target=/var/cache/dnf',
  },
  {
    message: 'the cache of pip, in ~/.cache/pip, ends up in the image',
    installs: (command) => isPip(command) && !command.args.includes('--no-cache-dir'),
    cleans: (command) =>
      removes(/\.cache/)(command) || (/^pip3?$/.test(command.program) && command.args.includes('purge')),
    mount: /\.cache|pip/,
    variable: 'PIP_NO_CACHE_DIR',
    hint: 'write pip install --no-cache-dir, or give the RUN --mount=type=cache,target=/root/.cache/pip',
  },
  {
    message: 'the cache of npm, in ~/.npm, ends up in the image',
    installs: (command) =>
      projectInstall(command)?.manager === 'npm' && !command.args.some((arg) => arg.startsWith('--cache')),
    cleans: (command) => removes(/\.npm/)(command) || (command.program === 'npm' && command.args.includes('clean')),
    mount: /\.npm|npm/,
    variable: 'npm_config_cache',
    hint: 'end the RUN with && npm cache clean --force, or give it --mount=type=cache,target=/root/.npm',
  },
];

export const packageCacheInFinalImage: Rule<BuildView> = {
  name: 'PackageCacheInFinalImage',
  severity: 'warning',
  description: 'Caches of package managers do not end up in the image',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'Nothing reads them when the image runs; removing them in a later RUN takes nothing out of the layer. Keep them in a cache mount, remove them in the RUN that made them, or install in an earlier stage. Stages that are only copied from are not looked at.',
    bad: 'FROM debian\nRUN apt-get update && apt-get install -y --no-install-recommends curl\nCMD ["curl", "--version"]',
    good: 'FROM debian\nRUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*\nCMD ["curl", "--version"]',
  },
  *check(view): Iterable<Report> {
    for (const step of stepsOf(view.image, 'RUN')) {
      const commands = runCommands(step);
      for (const kind of KINDS) {
        if (!commands.some((command) => kind.installs(command)) || keepsOut(kind, step, commands, view)) continue;
        yield { message: kind.message, hint: kind.hint, place: step };
      }
    }
  },
};

function keepsOut(
  kind: CacheKind,
  step: StepView<RunInstruction>,
  commands: readonly Command[],
  view: BuildView,
): boolean {
  const { variable } = kind;
  return (
    commands.some((command) => kind.cleans(command)) ||
    stepMounts(step, view).some(
      (mount) => (mount.type === 'cache' || mount.type === 'tmpfs') && kind.mount.test(mount.target),
    ) ||
    (variable !== undefined && (step.env.has(variable) || step.instruction.original.includes(`${variable}=`)))
  );
}

function isPip({ program, args }: Command): boolean {
  const words = /^python3?$/.test(program) && args[0] === '-m' ? args.slice(1) : [program, ...args];
  return /^pip3?$/.test(words[0] ?? '') && words.slice(1).find((word) => !word.startsWith('-')) === 'install';
}
