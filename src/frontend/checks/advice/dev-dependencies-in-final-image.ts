import { absolutePath } from '../../paths.ts';
import type { Report, Rule, RunInstruction } from '../../../dockerfile/index.ts';
import { chainOf, stepsOf, stepText } from '../view.ts';
import type { BuildView, StageView, StepView } from '../view.ts';
import { runCommands } from './commands.ts';
import type { Command } from './commands.ts';
import { isWithin } from './copied.ts';
import { projectInstall } from './packages.ts';
import type { ProjectInstall } from './packages.ts';

/** How a manager is told to leave them out, where its packages go, and what takes them away again. */
interface Manager {
  readonly leaves: (args: readonly string[]) => boolean;
  readonly directory: string;
  readonly prunes: RegExp;
  readonly flag: string;
}

const MANAGERS: Partial<Record<ProjectInstall['manager'], Manager>> = {
  npm: {
    leaves: (args) =>
      args.some(
        (arg, i) =>
          /^--omit=(?:\w+,)*dev|^--(?:only=)?prod(?:uction)?$/.test(arg) || (arg === 'dev' && args[i - 1] === '--omit'),
      ),
    directory: 'node_modules',
    prunes: /^npm (?:prune|ci --omit=dev|ci --production)/,
    flag: '--omit=dev',
  },
  yarn: {
    leaves: (args) => args.some((arg) => /^--prod(?:uction)?(?:=true)?$/.test(arg)),
    directory: 'node_modules',
    prunes: /^yarn (?:install )?--prod|^yarn workspaces focus/,
    flag: '--production',
  },
  pnpm: {
    leaves: (args) => args.some((arg) => /^(?:--prod|-P|--production)$/.test(arg)),
    directory: 'node_modules',
    prunes: /^pnpm (?:prune|deploy)/,
    flag: '--prod',
  },
  composer: {
    leaves: (args) => args.includes('--no-dev'),
    directory: 'vendor',
    prunes: /^composer install.* --no-dev/,
    flag: '--no-dev',
  },
  poetry: {
    leaves: (args) =>
      args.some(
        (arg, i) =>
          /^--(?:no-dev|only-root|only=main|without=dev)$|^--only=/.test(arg) ||
          args[i - 1] === '--without' ||
          args[i - 1] === '--only',
      ),
    directory: '.venv',
    prunes: /^poetry install.* --(?:only|without|no-dev)/,
    flag: '--only main',
  },
};

export const devDependenciesInFinalImage: Rule<BuildView> = {
  name: 'DevDependenciesInFinalImage',
  severity: 'warning',
  description: 'Dependencies of development do not end up in the image',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'Test runners, compilers and bundlers are most of `node_modules`, and most of what scanners complain about. Build in a stage with everything, and install without them for the image. An image whose command is a development server is left alone.',
    bad: 'FROM node\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci && npm cache clean --force\nCOPY . .\nCMD ["node", "server.js"]',
    good: 'FROM node\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci --omit=dev && npm cache clean --force\nCOPY . .\nCMD ["node", "server.js"]',
  },
  *check(view): Iterable<Report> {
    if (!isApplication(view)) return;
    const prunes = lastPrunes(view.image);
    for (const [at, step] of [...stepsOf(view.image, 'RUN')].entries()) {
      const install = devInstall(step, at, prunes);
      if (install === undefined) continue;
      const flag = MANAGERS[install.manager]?.flag ?? '';
      yield {
        message: `${install.text} brings the dependencies of development into the image`,
        hint: `write ${install.text} ${flag}; what needs them to build goes into a stage of its own, FROM ${view.image[0]?.node.baseName ?? 'image'} AS build`,
        place: step,
      };
    }
    yield* copiedFromStages(view);
  },
};

/** It has a command, and one that is not for development. */
function isApplication({ image }: BuildView): boolean {
  const texts = image.flatMap(({ steps }) =>
    steps.flatMap(({ instruction }) =>
      instruction.name === 'CMD' || instruction.name === 'ENTRYPOINT' ? instruction.original : [],
    ),
  );
  return (
    texts.length > 0 && !texts.some((text) => /\b(?:dev|develop|watch|test|nodemon|vite|jest|vitest)\b/.test(text))
  );
}

/** An installation of a RUN that leaves nothing out and is not pruned in that RUN or later. */
function devInstall(
  step: StepView<RunInstruction>,
  at: number,
  prunes: ReadonlyMap<Manager, number>,
): ProjectInstall | undefined {
  const found = runCommands(step).flatMap((command) => projectInstall(command) ?? []);
  return found.find((install) => {
    const manager = MANAGERS[install.manager];
    if (manager === undefined || manager.leaves(install.command.args)) return false;
    if (step.env.get('NODE_ENV') === 'production' && manager.directory === 'node_modules') return false;
    if (/NODE_ENV=production/.test(step.instruction.original) || step.env.has('COMPOSER_NO_DEV')) return false;
    return (prunes.get(manager) ?? -1) < at;
  });
}

/** By manager, the number of the last RUN that takes dependencies of development away. */
function lastPrunes(stages: readonly StageView[]): ReadonlyMap<Manager, number> {
  const last = new Map<Manager, number>();
  for (const [at, step] of [...stepsOf(stages, 'RUN')].entries()) {
    for (const manager of Object.values(MANAGERS)) {
      if (runCommands(step).some((command) => isPruned(command, manager))) last.set(manager, at);
    }
  }
  return last;
}

function isPruned(command: Command, { prunes, directory }: Manager): boolean {
  const text = [command.program, ...command.args].join(' ');
  return prunes.test(text) || (command.program === 'rm' && command.args.some((arg) => arg.includes(directory)));
}

/** A directory of packages, or one that holds it, that the image takes from a stage with everything installed. */
function* copiedFromStages(view: BuildView): Iterable<Report> {
  for (const step of stepsOf(view.image, 'COPY')) {
    const source = view.stages.find(({ node }) => node === step.sources[0]);
    if (source === undefined || view.image.includes(source)) continue;
    const chain = chainOf(source);
    const prunes = lastPrunes(chain);
    for (const [at, run] of [...stepsOf(chain, 'RUN')].entries()) {
      const install = devInstall(run, at, prunes);
      const manager = install === undefined ? undefined : MANAGERS[install.manager];
      if (install === undefined || manager === undefined || run.workdir === undefined) continue;
      const packages = absolutePath(run.workdir, manager.directory);
      const taken = step.instruction.sources.find(
        (word) => word.kind === 'path' && isWithin(packages, absolutePath('/', stepText(step, word, view))),
      );
      if (taken === undefined || step.instruction.excludes.some(({ text }) => text.includes(manager.directory)))
        continue;
      yield {
        message: `${packages} of stage ${source.node.name} has the dependencies of development (line ${run.range.start.line}: ${install.text})`,
        hint: `copy the built files alone, and install with ${manager.flag} for the image`,
        place: step,
        range: taken.range,
      };
      break;
    }
  }
}
