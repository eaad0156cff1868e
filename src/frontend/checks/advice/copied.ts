/** Where COPY and ADD put things, by text alone. */
import type { AddInstruction, CopyInstruction } from '../../../dockerfile/index.ts';
import { baseName, destinationPath, joinPath } from '../../paths.ts';
import { isStepOf, stepText } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';

export type CopyStep = StepView<CopyInstruction | AddInstruction>;

export interface CopiedSource {
  /** As written, variables expanded; the name of a heredoc. */
  readonly path: string;
  /** Where it goes if it is a file. */
  readonly target: string;
  /** Certainly a file: a heredoc. */
  readonly isFile: boolean;
}

export interface Copied {
  readonly step: CopyStep;
  /** Absolute and clean, without a trailing slash. */
  readonly destination: string;
  /** Written with a slash at its end, or for several sources. */
  readonly isDirectory: boolean;
  readonly sources: readonly CopiedSource[];
}

export function asCopy(step: StepView): CopyStep | undefined {
  if (isStepOf(step, 'COPY')) return step;
  return isStepOf(step, 'ADD') ? step : undefined;
}

/** From the build context, not from a stage or image. */
export function isFromContext({ instruction }: CopyStep): boolean {
  return instruction.name === 'ADD' || instruction.from === undefined;
}

/** Undefined when the destination is not known: relative to an unknown directory, or with an unset variable. */
export function copied(step: CopyStep, view: BuildView): Copied | undefined {
  const { instruction, workdir } = step;
  const written = stepText(step, instruction.destination, view);
  if (written.includes('$') || (!written.startsWith('/') && workdir === undefined)) return undefined;
  const full = destinationPath(workdir ?? '/', written);
  const isDirectory = /\/\.?$/.test(full) || instruction.sources.length > 1;
  const destination = full === '/' ? full : full.replace(/\/\.?$/, '') || '/';
  const sources = instruction.sources.map((source) => {
    const path = source.kind === 'heredoc' ? source.name : stepText(step, source, view);
    const target = isDirectory ? joinPath(destination, baseName(path)) : destination;
    return { path, target, isFile: source.kind === 'heredoc' };
  });
  return { step, destination, isDirectory, sources };
}

/** `path` is `base` or lies below it. */
export function isWithin(path: string, base: string): boolean {
  return base === '/' || path === base || path.startsWith(`${base}/`);
}

/** The context as a whole, or a directory of it that is named as one. */
export function isWholeContext(path: string): boolean {
  return /^(?:\.|\/)?\/?\.?\/?$/.test(path) || path === '*' || path === './*';
}
