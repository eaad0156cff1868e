import { BuildError } from '../../contracts/index.ts';
import type { OutputSpec } from '../../export/index.ts';
import type { BuildOptions } from '../options.ts';

/** A context in which somebody writes all the time is given up, with the error that names the file. */
const ATTEMPTS = 3;

/**
 * Builds again when a file of the context was edited between the look at it and the use of it: what was looked at is not
 * there any more, so that its step gets another key. Steps that are done stay done. What is read from standard input, or was
 * partly written to standard output, cannot be had twice: then the error stands.
 *
 * @param attempt Reads the context anew each time.
 */
export async function despiteChanges<T>(
  options: BuildOptions,
  outputs: readonly OutputSpec[],
  attempt: () => Promise<T>,
): Promise<T> {
  const once =
    options.context === '-' ||
    options.dockerfile === '-' ||
    outputs.some((spec) => 'dest' in spec && (spec.dest === undefined || spec.dest === '-'));
  for (let left = once ? 0 : ATTEMPTS - 1; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left <= 0 || !isContextChange(error)) throw error;
      options.onEvent?.({ type: 'warning', message: `${error.message}; building again with what is there now` });
    }
  }
}

/** What rooms that read a context say of a file that is not what it was (hash-files, archive, materialize, pack, export). */
function isContextChange(error: unknown): error is BuildError {
  return error instanceof BuildError && error.code === 'context' && /\bchanged (while|during) /.test(error.message);
}
