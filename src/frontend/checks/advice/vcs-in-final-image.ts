import { absolutePath } from '../../paths.ts';
import { compilePatterns } from '../../../pattern/index.ts';
import type { Report, Rule, RunInstruction } from '../../../dockerfile/index.ts';
import { chainOf, isStepOf, stepText } from '../view.ts';
import type { BuildView, StageView, StepView } from '../view.ts';
import { runCommands } from './commands.ts';
import { asCopy, copied, isFromContext, isWholeContext, isWithin } from './copied.ts';
import type { CopyStep } from './copied.ts';

const FOLDERS = ['.git', '.hg', '.svn'];

export const vcsInFinalImage: Rule<BuildView> = {
  name: 'VcsInFinalImage',
  severity: 'warning',
  description: 'The repository does not end up in the image',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'A `.git` folder has every file that ever was in the repository, secrets that were taken out again too. Exclude it in `.dockerignore`, or copy what is needed. Reported where the build context has such a folder, and for `git clone` and `ADD --keep-git-dir` in the image itself.',
    bad: 'FROM node\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.js"]',
    good: 'FROM node\nWORKDIR /app\nCOPY src ./src\nCMD ["node", "src/server.js"]',
    contextNames: ['.git', 'src'],
  },
  *check(view): Iterable<Report> {
    const inContext = FOLDERS.find((name) => view.contextNames?.has(name) === true && !isExcluded(name, view));
    for (const stage of view.image) {
      for (const step of stage.steps) {
        const copy = asCopy(step);
        if (copy !== undefined) {
          const found = copiedFolder(copy, inContext, view);
          if (found !== undefined) yield found;
        } else if (isStepOf(step, 'RUN')) {
          const found = cloned(step);
          if (found !== undefined) yield found;
        }
      }
    }
  },
};

function isExcluded(name: string, { options }: BuildView): boolean {
  return options.context.kind === 'local' && compilePatterns(options.context.excludes).matches(name);
}

const HINT = 'add .git to .dockerignore, or copy what is needed only';

function copiedFolder(step: CopyStep, inContext: string | undefined, view: BuildView): Report | undefined {
  const { instruction } = step;
  if (instruction.excludes.some(({ text }) => /\.(?:git|hg|svn)\b/.test(text))) return undefined;
  if (instruction.name === 'ADD' && instruction.keepGitDir === true) {
    return {
      message: 'ADD --keep-git-dir brings the repository into the image',
      hint: 'leave the flag out',
      place: step,
    };
  }
  if (isFromContext(step)) {
    if (inContext === undefined || !takesWhole(step, view)) return undefined;
    return { message: `${instruction.name} brings ${inContext} into the image`, hint: HINT, place: step };
  }
  const source = view.stages.find(({ node }) => node === step.sources[0]);
  if (source === undefined || view.image.includes(source)) return undefined;
  const taken = instruction.sources.flatMap((word) =>
    word.kind === 'path' ? absolutePath('/', stepText(step, word, view)) : [],
  );
  const folder = inContext === undefined ? undefined : folderIn(source, inContext, view);
  if (folder === undefined || !taken.some((path) => isWithin(folder, path))) return undefined;
  return {
    message: `${folder} of stage ${source.node.name} comes into the image with this copy`,
    hint: HINT,
    place: step,
  };
}

/** Where a stage that copies the whole context has its repository. */
function folderIn(stage: StageView, name: string, view: BuildView): string | undefined {
  const steps = chainOf(stage).flatMap((below) => below.steps);
  const isRemoved = steps.some(
    (step) =>
      isStepOf(step, 'RUN') &&
      runCommands(step).some(({ program, args }) => program === 'rm' && args.some((arg) => arg.includes(name))),
  );
  if (isRemoved) return undefined;
  for (const step of steps) {
    const copy = asCopy(step);
    if (copy === undefined || !isFromContext(copy) || !takesWhole(copy, view)) continue;
    const destination = copied(copy, view)?.destination;
    if (destination !== undefined) return absolutePath(destination, name);
  }
  return undefined;
}

function takesWhole(step: CopyStep, view: BuildView): boolean {
  return step.instruction.sources.some(
    (word) => word.kind === 'path' && (isWholeContext(stepText(step, word, view)) || FOLDERS.includes(word.text)),
  );
}

function cloned(step: StepView<RunInstruction>): Report | undefined {
  const commands = runCommands(step);
  const clone = commands.find(
    ({ program, args }) => program === 'git' && args.find((arg) => !arg.startsWith('-')) === 'clone',
  );
  if (clone === undefined) return undefined;
  const words = clone.args.filter((arg) => !arg.startsWith('-'));
  const url = words.find((word) => /:\/\/|^git@|\.git$/.test(word)) ?? '';
  const directory = words.at(-1) === url ? url.replace(/^.*\/|\.git$/g, '') : (words.at(-1) ?? '');
  const isRemoved = commands.some(
    ({ program, args }) =>
      program === 'rm' && args.some((arg) => arg.includes('.git') || (directory !== '' && arg.includes(directory))),
  );
  if (isRemoved || url === '') return undefined;
  return {
    message: 'git clone brings the history of the repository into the image',
    hint: 'use ADD with the URL of the repository, clone in an earlier stage, or remove .git in the same RUN',
    place: step,
  };
}
