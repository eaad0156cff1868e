import { hasWildcard } from '../../../pattern/index.ts';
import type { CopyInstruction, Report, Rule } from '../../../dockerfile/index.ts';
import { absolutePath } from '../../paths.ts';
import type { StageNode } from '../../stage-graph.ts';
import { isStepOf, stepsOf, stepText } from '../view.ts';
import type { BuildView, StageView, StepView } from '../view.ts';
import { asCopy, copied, isWithin } from './copied.ts';

export const wholeStageCopied: Rule<BuildView> = {
  name: 'WholeStageCopied',
  severity: 'warning',
  description: 'COPY --from takes what is used of a stage, not all of it',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'Copying `/` of a stage that stands on an image lays a whole system over another one. And what a stage in between copies, but nobody takes from it, is copied for nothing: every change of it runs the copy again. Copying `/` onto `scratch` (to get one layer) is fine, and so is a stage that stands on `scratch` itself.',
    bad: 'FROM golang AS build\nRUN go build -o /out/app\nFROM alpine\nCOPY --from=build / /\nCMD ["/out/app"]',
    good: 'FROM golang AS build\nRUN go build -o /out/app\nFROM alpine\nCOPY --from=build /out/app /out/app\nCMD ["/out/app"]',
  },
  *check(view): Iterable<Report> {
    const stages = view.stages.filter(({ node }) => view.needed.has(node));
    for (const stage of stages) {
      for (const step of stepsOf([stage], 'COPY')) {
        const source = stages.find(({ node }) => node === step.sources[0]);
        if (source === undefined) continue;
        yield* rootCopied(step, stage, source, view);
        yield* passedOn(step, stage, stages, view);
      }
    }
  },
};

function* rootCopied(
  step: StepView<CopyInstruction>,
  stage: StageView,
  source: StageView,
  view: BuildView,
): Iterable<Report> {
  if (source.root !== 'image' || stage.root === 'scratch') return;
  const all = sourcePaths(step, view).find((path) => path === '/' || path === '/*');
  if (all === undefined) return;
  const made = madePaths(source, view);
  yield {
    message: `COPY --from=${source.node.name} ${all} takes all of stage ${source.node.name}, with the system of ${rootName(source)}`,
    hint:
      made.length === 0
        ? 'name the files that are needed'
        : `name the files that are needed; the stage itself writes ${made.slice(0, 3).join(', ')}`,
    place: step,
  };
}

function rootName(stage: StageView): string {
  return stage.below === undefined ? stage.node.baseName : rootName(stage.below);
}

/** Directories that the instructions of a stage name, as far as they are known. */
function madePaths(stage: StageView, view: BuildView): readonly string[] {
  const paths = stage.steps.flatMap((step) => {
    if (isStepOf(step, 'RUN') && step.instruction.command.form === 'shell') {
      return Array.from(
        step.instruction.command.text.matchAll(/(?:^|\s)-o[ =]?(\/[\w./-]+)/g),
        ([, path = '']) => path,
      );
    }
    const copy = asCopy(step);
    const destination = copy === undefined ? undefined : copied(copy, view)?.destination;
    return destination === undefined || destination === '/' ? [] : destination;
  });
  return [...new Set(paths)].reverse();
}

/** A directory that a stage in between copies, of which the stages after it take parts only. */
function* passedOn(
  step: StepView<CopyInstruction>,
  stage: StageView,
  stages: readonly StageView[],
  view: BuildView,
): Iterable<Report> {
  const target = copied(step, view);
  const used = target === undefined ? undefined : pathsTaken(stage.node, stages, view);
  if (target === undefined || used === undefined || runsAfter(stage, step)) return;
  const { destination } = target;
  // Copied as a whole, or from above it.
  if (destination === '/' || used.some((path) => isWithin(destination, path))) return;
  const parts = used.filter((path) => isWithin(path, destination));
  // A path outside may be a link into it.
  if (parts.length === 0 || parts.length !== used.length) return;
  yield {
    message: `of ${destination}, which stage ${stage.node.name} copies whole, only ${list(parts)} is taken from it`,
    hint: 'copy these alone, straight from where they are made',
    place: step,
  };
}

function list(paths: readonly string[]): string {
  const shown = paths.slice(0, 3).join(', ');
  return paths.length > 3 ? `${shown} and ${paths.length - 3} more` : shown;
}

function runsAfter(stage: StageView, step: StepView): boolean {
  return stage.steps.slice(stage.steps.indexOf(step) + 1).some(({ instruction }) => instruction.name === 'RUN');
}

/** What is copied from a stage; undefined when more than that is done with it. */
function pathsTaken(node: StageNode, stages: readonly StageView[], view: BuildView): readonly string[] | undefined {
  if (node === view.target.node) return undefined;
  const paths: string[] = [];
  for (const stage of stages) {
    if (stage.node.base === node) return undefined;
    for (const step of stage.steps) {
      if (!step.sources.includes(node)) continue;
      if (!isStepOf(step, 'COPY')) return undefined;
      paths.push(...sourcePaths(step, view));
    }
  }
  if (paths.length === 0 || paths.some((path) => path.includes('$') || hasWildcard(path))) return undefined;
  return [...new Set(paths)];
}

function sourcePaths(step: StepView<CopyInstruction>, view: BuildView): readonly string[] {
  return step.instruction.sources.flatMap((source) =>
    source.kind === 'path' ? absolutePath('/', stepText(step, source, view)) : [],
  );
}
