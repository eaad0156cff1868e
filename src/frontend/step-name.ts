import { expandWord } from '../dockerfile/index.ts';
import type { ExpandOptions, Instruction } from '../dockerfile/index.ts';
import type { Env } from './env.ts';
import type { InstructionContext, StageState } from './state.ts';

/**
 * What progress calls a step: `[build 2/3] COPY app.go .`; without the stage in a file of one. `step` counts from 1.
 */
export function stepName(
  { stage, onBuild }: Pick<InstructionContext, 'stage' | 'onBuild'>,
  step: number,
  text: string,
): string {
  if (stage.total === 0) return text;
  const count = String(step).padStart(String(stage.total).length);
  return `[${stage.name === '' ? '' : `${stage.name} `}${count}/${stage.total}] ${onBuild ? 'ONBUILD ' : ''}${text}`;
}

/** The name of the step that an instruction is, counting it. */
export function nextStepName(state: StageState, context: InstructionContext, text: string): string {
  return stepName(context, state.step + 1, text);
}

/** An instruction as progress shows it: expanded, its keyword in capitals. */
export function instructionText(instruction: Instruction, env: Env, options: ExpandOptions, suffix = ''): string {
  const text = instruction.original.trim() + suffix;
  return upperFirst(expandLeniently(text, env, options));
}

/** What cannot be expanded is shown as it is. */
function expandLeniently(text: string, env: Env, options: ExpandOptions): string {
  try {
    return expandWord(text, env, options).text;
  } catch {
    return text;
  }
}

function upperFirst(text: string): string {
  const space = text.indexOf(' ');
  return space === -1 ? text.toUpperCase() : text.slice(0, space).toUpperCase() + text.slice(space);
}
