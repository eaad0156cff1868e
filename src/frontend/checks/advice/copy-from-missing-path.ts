import { hasWildcard } from '../../../pattern/index.ts';
import { isSlip, nearest } from '../../../dockerfile/index.ts';
import type { Report, Rule } from '../../../dockerfile/index.ts';
import { absolutePath } from '../../paths.ts';
import { chainOf, isStepOf, stepsOf, stepText } from '../view.ts';
import type { BuildView, StageView, StepView } from '../view.ts';
import { runCommands } from './commands.ts';
import { asCopy, copied, isWholeContext, isWithin } from './copied.ts';

/** At the top of nearly every image. */
const SYSTEM_DIRECTORIES = new Set(
  'bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin srv sys tmp usr var'.split(' '),
);
/** Shorter names differ by one letter too easily. */
const MIN_NAME = 4;

export const copyFromMissingPath: Rule<BuildView> = {
  name: 'CopyFromMissingPath',
  severity: 'warning',
  description: 'COPY --from names a path that its stage can hold',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'A stage on `scratch` without RUN holds what is copied into it and nothing else. In other stages a path is reported when it is one letter off a path that the stage names, and the stage never mentions it.',
    bad: 'FROM golang AS build\nWORKDIR /src\nRUN go build -o /out/server ./cmd/server\nFROM alpine\nCOPY --from=build /out/servre /usr/bin/',
    good: 'FROM golang AS build\nWORKDIR /src\nRUN go build -o /out/server ./cmd/server\nFROM alpine\nCOPY --from=build /out/server /usr/bin/',
  },
  *check(view): Iterable<Report> {
    const known = new Map<StageView, StagePaths>();
    for (const step of stepsOf(view.stages, 'COPY')) {
      const source = view.stages.find(({ node }) => node === step.sources[0]);
      if (source === undefined || step.onBuild) continue;
      const paths = known.get(source) ?? pathsOf(source, view);
      known.set(source, paths);
      for (const word of step.instruction.sources) {
        if (word.kind !== 'path') continue;
        const path = absolutePath('/', stepText(step, word, view));
        if (path === '/' || path.includes('$') || hasWildcard(path)) continue;
        const wrong = problemOf(path, source, paths);
        if (wrong !== undefined) yield { ...wrong, place: step, range: word.range };
      }
    }
  },
};

/** What is known of the paths of a stage. */
interface StagePaths {
  /** All that it can hold, each with what is below; undefined when it may hold anything. */
  readonly held: readonly string[] | undefined;
  /** Paths that its instructions name. */
  readonly named: ReadonlySet<string>;
  /** Every name in its instructions. */
  readonly words: ReadonlySet<string>;
}

function pathsOf(source: StageView, view: BuildView): StagePaths {
  const held = heldPaths(source, view);
  if (held !== undefined || source.root === 'context') return { held, named: new Set(), words: new Set() };
  const steps = chainOf(source).flatMap((below) => below.steps);
  return {
    held,
    named: new Set(steps.flatMap((step) => namedPaths(step, view))),
    words: new Set(steps.flatMap(wordsOf)),
  };
}

function problemOf(
  path: string,
  source: StageView,
  { held, named, words }: StagePaths,
): Pick<Report, 'message' | 'hint'> | undefined {
  const { name } = source.node;
  if (held !== undefined) {
    if (held.some((other) => isWithin(path, other) || isWithin(other, path))) return undefined;
    const near = nearest(path, held);
    return {
      message: `stage ${name} never has ${path}: it stands on scratch and holds ${held.length === 0 ? 'nothing' : held.slice(0, 3).join(', ')}`,
      hint: near === undefined ? 'name a path that the stage copies' : `did you mean ${near}?`,
    };
  }
  const meant = slipOf(path, named, words);
  if (meant === undefined) return undefined;
  return { message: `nothing in stage ${name} makes ${path}`, hint: `did you mean ${meant}?` };
}

function heldPaths(stage: StageView, view: BuildView): readonly string[] | undefined {
  if (stage.root !== 'scratch') return undefined;
  const held: string[] = [];
  for (const step of chainOf(stage).flatMap(({ steps }) => steps)) {
    if (isStepOf(step, 'RUN')) return undefined;
    if (isStepOf(step, 'WORKDIR')) {
      const path = stepText(step, step.instruction.path, view);
      if (path.includes('$')) return undefined;
      held.push(absolutePath(step.workdir ?? '/', path));
    }
    const copy = asCopy(step);
    if (copy === undefined) continue;
    const target = copied(copy, view);
    if (target === undefined) return undefined;
    if (target.destination !== '/') held.push(target.destination);
    else if (target.sources.every(({ isFile }) => isFile)) held.push(...target.sources.map((source) => source.target));
    else return undefined;
  }
  return [...new Set(held)];
}

/** A path of the stage that differs in one name by one letter, where the stage never mentions the name as it is written. */
function slipOf(path: string, named: ReadonlySet<string>, words: ReadonlySet<string>): string | undefined {
  const wanted = path.slice(1).split('/');
  if ([...named].some((other) => isWithin(other, path))) return undefined;
  for (const other of named) {
    const parts = other.slice(1).split('/');
    const at = parts.findIndex((part, i) => wanted[i] !== part);
    const right = parts[at];
    const written = wanted[at];
    if (right === undefined || written === undefined || !isLikelySlip(written, right)) continue;
    if (at === 0 && SYSTEM_DIRECTORIES.has(written)) continue;
    const isSameAfter = wanted.slice(at + 1).every((part, i) => (parts[at + 1 + i] ?? part) === part);
    if (!isSameAfter || words.has(written)) continue;
    return `/${[...wanted.slice(0, at), right, ...wanted.slice(at + 1)].join('/')}`;
  }
  return undefined;
}

function isLikelySlip(written: string, right: string): boolean {
  if (right.length < MIN_NAME || !isSlip(written, right)) return false;
  // One or many, another number: these are names of their own.
  const bare = (name: string): string => name.replace(/\d+/g, '').replace(/s$/, '');
  return bare(written) !== bare(right);
}

/** Absolute paths that an instruction names, and relative ones with a slash or after -o. */
function namedPaths(step: StepView, view: BuildView): readonly string[] {
  if (isStepOf(step, 'WORKDIR')) {
    const path = stepText(step, step.instruction.path, view);
    return path.startsWith('/') ? [absolutePath('/', path)] : [];
  }
  const copy = asCopy(step);
  if (copy !== undefined) {
    const target = copied(copy, view);
    if (target === undefined) return [];
    const files = target.sources.filter(({ path }) => !isWholeContext(path)).map((source) => source.target);
    return [target.destination, ...files].filter((path) => path !== '/');
  }
  if (!isStepOf(step, 'RUN')) return [];
  return runCommands(step).flatMap(({ args }) =>
    args.flatMap((arg, i) => {
      const word = /^-{0,2}[\w-]+=(.+)$/.exec(arg)?.[1] ?? arg;
      const isOutput = /^(?:-o|--out|--output|-d|--outdir)$/.test(args[i - 1] ?? '');
      const isPath = /^[\w.@+/-]+$/.test(word) && !word.startsWith('-') && (isOutput || word.includes('/'));
      if (!isPath || (!word.startsWith('/') && step.workdir === undefined)) return [];
      const path = absolutePath(step.workdir ?? '/', word);
      return path === '/' ? [] : path;
    }),
  );
}

function wordsOf({ instruction }: StepView): readonly string[] {
  const bodies = instruction.name === 'RUN' ? instruction.heredocs.map(({ content }) => content) : [];
  return [instruction.original, ...bodies].flatMap((text) => text.split(/[^\w.@+-]+/));
}
