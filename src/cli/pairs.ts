/** `NAME=VALUE` words of flags. */
import { usage, type Command } from './command.ts';

/**
 * `--build-arg X` takes the environment's value and is dropped where that is unset; a SOURCE_DATE_EPOCH of the
 * environment needs no flag (both as buildx has it).
 */
export function buildArgs(
  command: Command,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
): Readonly<Record<string, string>> {
  const entries = words.flatMap((word): [string, string][] => {
    const at = word.indexOf('=');
    if (at > 0) return [[word.slice(0, at), word.slice(at + 1)]];
    if (at === 0) throw usage(command, `--build-arg ${word} has no name`);
    const value = env[word];
    return value === undefined ? [] : [[word, value]];
  });
  const { SOURCE_DATE_EPOCH: epoch } = env;
  return {
    ...(epoch === undefined || epoch === '' ? {} : { SOURCE_DATE_EPOCH: epoch }),
    ...Object.fromEntries(entries),
  };
}

/** `NAME=VALUE` words by name. */
export function pairs(
  command: Command,
  flag: string,
  words: readonly string[],
  withoutValue?: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    words.map((word): [string, string] => {
      const at = word.indexOf('=');
      if (at > 0) return [word.slice(0, at), word.slice(at + 1)];
      if (at < 0 && withoutValue !== undefined) return [word, withoutValue];
      throw usage(command, `--${flag} takes NAME=VALUE, not "${word}"`);
    }),
  );
}
