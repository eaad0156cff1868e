/** Expansion of words in the environment of the moment, with errors and warnings at their place. */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';
import { expandWord } from '../dockerfile/index.ts';
import type { Expansion, ExpandOptions, Word } from '../dockerfile/index.ts';
import type { Env } from './env.ts';
import type { InstructionContext, StageState } from './state.ts';

/** Expands text; errors get the location that they lack. */
export function expandText(
  text: string,
  env: Env,
  options: ExpandOptions,
  location: SourceLocation | undefined,
): Expansion {
  try {
    return expandWord(text, env, options);
  } catch (error) {
    throw error instanceof BuildError ? error.at(location) : error;
  }
}

/** A word of an instruction. */
export function expand(word: Word, state: StageState, context: InstructionContext): string {
  return expandText(word.text, state.env, { escape: context.escape }, wordLocation(word, context)).text;
}

/** As {@link expand} where the word may be missing. */
export function expandOptional(
  word: Word | undefined,
  state: StageState,
  context: InstructionContext,
): string | undefined {
  return word === undefined ? undefined : expand(word, state, context);
}

/** A word's own place; a trigger of ONBUILD has none in this file. */
export function wordLocation(word: Word, context: InstructionContext): SourceLocation {
  return context.onBuild ? context.location : { file: context.file, ranges: [word.range] };
}
