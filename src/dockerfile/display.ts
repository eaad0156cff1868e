import { BuildError } from '../contracts/index.ts';
import { expandWord, type VariableLookup } from './expand.ts';

/**
 * An instruction as BuildKit shows it in progress: its text on one line, the keyword in upper case, variables that are
 * set expanded, quotes kept (`COPY app.go .`). Text that cannot be expanded is shown as it is.
 */
export function displayInstruction(original: string, env: VariableLookup, escape = '\\'): string {
  const text = original.replace(/^[^ ]+/, (keyword) => keyword.toUpperCase());
  try {
    return expandWord(text, env, { escape, rawQuotes: true, keepUnset: true }).text;
  } catch (error) {
    if (error instanceof BuildError) return text;
    throw error;
  }
}
