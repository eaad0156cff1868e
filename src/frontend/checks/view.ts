/** What the rules of this folder look at: stages and steps with what is known of each at its moment. */
import { BuildError } from '../../contracts/index.ts';
import { parseMount } from '../../dockerfile/index.ts';
import type {
  Dockerfile,
  FromInstruction,
  Instruction,
  Mount,
  Place,
  RunInstruction,
  Word,
} from '../../dockerfile/index.ts';
import type { Base } from '../bases.ts';
import { EMPTY_ENV, setEnv, splitEnv } from '../env.ts';
import type { Env } from '../env.ts';
import { buildArg } from '../global-args.ts';
import { DEFAULT_PATH } from '../image-config.ts';
import { absolutePath } from '../paths.ts';
import type { GraphNode, StageGraph, StageNode, Step } from '../stage-graph.ts';
import type { FrontendOptions } from '../types.ts';
import { expandText } from '../words.ts';
import { knownImage } from './known-images.ts';

/** A build, or the part of it that is checked. */
export interface BuildView {
  readonly dockerfile: Dockerfile;
  readonly options: FrontendOptions;
  readonly globals: Env;
  readonly graph: StageGraph;
  /** What is checked, in file order. */
  readonly stages: readonly StageView[];
  readonly target: StageView;
  /** The target, and the stages that it stands on (`FROM stage`): what they hold is in the image. Bottom first. */
  readonly image: readonly StageView[];
  /** Stages that the target needs. */
  readonly needed: ReadonlySet<GraphNode>;
  /** Of every stage of the file, checked or not. */
  readonly steps: ReadonlyMap<StageNode, readonly Step[]>;
  /** Names at the top of the build context; undefined where nobody looked. */
  readonly contextNames: ReadonlySet<string> | undefined;
}

export interface StageView {
  readonly node: StageNode;
  readonly steps: readonly StepView[];
  readonly below: StageView | undefined;
  /** What the lowest FROM brings. A context is a directory, or an image in the place of a stage. */
  readonly root: 'scratch' | 'image' | 'context';
  /** Resolved: in a build only, for stages that stand on no other. */
  readonly base: Base | undefined;
}

/** An instruction at its moment; all but `instruction` is as it was before. */
export interface StepView<I extends Instruction = Instruction> extends Place {
  readonly instruction: I;
  readonly onBuild: boolean;
  readonly sources: readonly GraphNode[];
  /** ENV and ARG. */
  readonly env: Env;
  /** False when an image below, whose config nobody looked at, may have set more. */
  readonly envIsKnown: boolean;
  /** Names that ARG declared, with a value or without. */
  readonly args: ReadonlySet<string>;
  /** Absolute; undefined when only the image below knows. */
  readonly workdir: string | undefined;
  /** A WORKDIR of the file came before. */
  readonly hasWorkdir: boolean;
  readonly hasShell: boolean;
}

/** Where a stage begins. */
type Start = Pick<StepView, 'env' | 'envIsKnown' | 'args' | 'workdir' | 'hasWorkdir' | 'hasShell'>;

export interface StageInput {
  readonly node: StageNode;
  readonly steps: readonly Step[];
  /** Undefined where nothing was resolved. */
  readonly base: Base | undefined;
}

/** Stages with their steps. A stage comes after those it stands on. */
export function viewStages(
  inputs: readonly StageInput[],
  dockerfile: Dockerfile,
  options: FrontendOptions,
  globals: Env,
): readonly StageView[] {
  const ends = new Map<StageNode, { readonly view: StageView; readonly end: Start }>();
  for (const { node, steps, base } of inputs) {
    const below = node.base === undefined ? undefined : ends.get(node.base);
    let moment = below?.end ?? startOf(node, base);
    const views: StepView[] = [];
    for (const step of node.context === undefined ? steps : []) {
      const range = step.location.ranges[0] ?? step.instruction.range;
      const { instruction, sources, onBuild } = step;
      views.push({ ...moment, instruction, sources, onBuild, range, comments: onBuild ? [] : instruction.comments });
      moment = after(moment, instruction, dockerfile, options, globals);
    }
    const root = below?.view.root ?? rootOf(node);
    ends.set(node, { view: { node, steps: views, below: below?.view, root, base }, end: moment });
  }
  return Array.from(ends.values(), ({ view }) => view);
}

function rootOf(node: StageNode): StageView['root'] {
  if (node.context !== undefined) return 'context';
  return node.baseName === 'scratch' ? 'scratch' : 'image';
}

function startOf(node: StageNode, base: Base | undefined): Start {
  const resolved = base?.image.config ?? (rootOf(node) === 'scratch' ? {} : undefined);
  const known = resolved === undefined ? knownImage(node) : { envIsKnown: true, workdir: resolved.WorkingDir ?? '/' };
  const env = (resolved?.Env ?? []).reduce((all, entry) => setEnv(all, ...splitEnv(entry)), EMPTY_ENV);
  return {
    env: env.has('PATH') ? env : setEnv(env, 'PATH', DEFAULT_PATH),
    envIsKnown: known.envIsKnown,
    args: new Set(),
    workdir: known.workdir === undefined ? undefined : absolutePath('/', known.workdir),
    hasWorkdir: false,
    hasShell: (resolved?.Shell ?? []).length > 0,
  };
}

function after(
  moment: Start,
  instruction: Instruction,
  dockerfile: Dockerfile,
  options: FrontendOptions,
  globals: Env,
): Start {
  const { escape } = dockerfile;
  switch (instruction.name) {
    case 'ENV': {
      let { env } = moment;
      for (const { key, value } of instruction.pairs) {
        env = setEnv(env, tolerant(key.text, moment.env, escape), tolerant(value.text, moment.env, escape));
      }
      return { ...moment, env };
    }
    case 'ARG': {
      let { env } = moment;
      const args = new Set(moment.args);
      for (const { key, value: fallback } of instruction.args) {
        args.add(key.text);
        const value =
          buildArg(options, key.text) ??
          (fallback === undefined ? globals.get(key.text) : tolerant(fallback.text, env, escape));
        if (value !== undefined) env = setEnv(env, key.text, value);
      }
      return { ...moment, env, args };
    }
    case 'WORKDIR': {
      const path = tolerant(instruction.path.text, moment.env, escape);
      const isKnown = path.startsWith('/') || (moment.workdir !== undefined && !path.includes('$'));
      return { ...moment, hasWorkdir: true, workdir: isKnown ? absolutePath(moment.workdir ?? '/', path) : undefined };
    }
    case 'SHELL':
      return { ...moment, hasShell: true };
    default:
      return moment;
  }
}

/** The text expanded as far as it can be; what is unset stays as it is written. */
function tolerant(text: string, env: Env, escape: string): string {
  try {
    return expandText(text, env, { escape, keepUnset: true }, undefined).text;
  } catch (error) {
    if (error instanceof BuildError) return text;
    throw error;
  }
}

/** A word of a step, expanded as far as it can be. */
export function stepText(step: StepView, word: Word, { dockerfile }: BuildView): string {
  return tolerant(word.text, step.env, dockerfile.escape);
}

/** The mounts of a RUN, those that can be read. */
export function stepMounts(step: StepView<RunInstruction>, view: BuildView): readonly Mount[] {
  return step.instruction.mounts.flatMap((word) => {
    try {
      return parseMount(word.text, (value) => tolerant(value, step.env, view.dockerfile.escape));
    } catch (error) {
      if (error instanceof BuildError) return [];
      throw error;
    }
  });
}

/** FROM as a place to point to. */
export function fromPlace({ node }: StageView): FromInstruction {
  return node.stage.from;
}

/** All steps of a list of stages that are of one kind. */
export function* stepsOf<N extends Instruction['name']>(
  stages: Iterable<StageView>,
  name: N,
): Iterable<StepView<Extract<Instruction, { readonly name: N }>>> {
  for (const { steps } of stages) {
    for (const step of steps) if (isStepOf(step, name)) yield step;
  }
}

/** Narrows a step by the name of its instruction. */
export function isStepOf<N extends Instruction['name']>(
  step: StepView,
  name: N,
): step is StepView<Extract<Instruction, { readonly name: N }>> {
  return step.instruction.name === name;
}

/** The stages that a stage stands on and itself, bottom first. */
export function chainOf(stage: StageView): readonly StageView[] {
  const chain: StageView[] = [];
  for (let at: StageView | undefined = stage; at !== undefined; at = at.below) chain.push(at);
  return chain.reverse();
}
