/** Characters without meaning to any shell. `=` is missing for the first word: there it sets a variable. */
const PLAIN_WORD = /^[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*$/;
/** What only a shell can run. */
const BUILTINS = new Set(
  (
    '. : [ alias bg bind break builtin caller case cd command compgen complete continue coproc declare dirs disown do done ' +
    'elif else enable esac eval exec exit export fc fg fi for function getopts hash help history if jobs let local logout ' +
    'mapfile popd pushd read readarray readonly return select set shift shopt source suspend test then time times trap ' +
    'type typeset ulimit umask unalias unset until wait while'
  ).split(' '),
);
/** An array as it was meant, in the wrong quotes. */
const SINGLE_QUOTED = /^\[\s*'[^'"\\]*'(?:\s*,\s*'[^'"\\]*')*\s*\]$/;

/**
 * A command of the shell form as JSON array, where both start the same program with the same arguments: plain words, no
 * variable, no quoting. Undefined for anything else. An array in single quotes is written in double ones: as it
 * stands, it starts nothing.
 */
export function shellToJson(text: string): string | undefined {
  if (SINGLE_QUOTED.test(text)) return toJson(Array.from(text.matchAll(/'([^']*)'/g), ([, word = '']) => word));
  const words = text.split(/[ \t]+/).filter((word) => word !== '');
  const [program] = words;
  if (program === undefined || program.includes('=') || BUILTINS.has(program)) return undefined;
  return words.every((word) => PLAIN_WORD.test(word)) ? toJson(words) : undefined;
}

function toJson(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(', ')}]`;
}
