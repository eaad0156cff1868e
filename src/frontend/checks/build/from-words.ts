import { BuildError } from '../../../contracts/index.ts';
import { expandWord } from '../../../dockerfile/index.ts';
import type { Expansion, Stage, Word } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';

/** The words of a FROM that hold variables, expanded; what cannot be expanded is an error elsewhere. */
export function* fromWords(
  { from }: Stage,
  { globals, dockerfile }: BuildView,
): Iterable<{ readonly word: Word; readonly expansion: Expansion }> {
  for (const word of [from.image, from.platform]) {
    if (word?.text.includes('$') !== true) continue;
    const expansion = tryExpand(word.text, globals, dockerfile.escape);
    if (expansion !== undefined) yield { word, expansion };
  }
}

/** Undefined for what cannot be expanded. */
export function tryExpand(text: string, env: ReadonlyMap<string, string>, escape: string): Expansion | undefined {
  try {
    return expandWord(text, env, { escape });
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
