import { rangeOf, wordOf } from '../lines.ts';
import { skipSeparators, wordEnd, type Span } from '../space.ts';
import type { Statement } from '../statement.ts';
import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction } from '../types.ts';
import { quotedWords } from '../words.ts';
import { baseOf, instructionError, needArgs, takeFlags } from './base.ts';

/** `ENV key=value ...` or `ENV key rest of the line`. */
export function parseEnv(statement: Statement): EnvInstruction {
  return { ...baseOf(statement), name: 'ENV', ...readPairs(statement) };
}

/** `LABEL key=value ...` or `LABEL key rest of the line`. */
export function parseLabel(statement: Statement): LabelInstruction {
  return { ...baseOf(statement), name: 'LABEL', ...readPairs(statement) };
}

/** `ARG name[=default] ...`. Flags are not looked at, as in BuildKit. */
export function parseArg(statement: Statement): ArgInstruction {
  needArgs(statement, 'ARG VERSION=1.0');
  const args = quotedWords(statement.line.text, statement.args, statement.escape).map((word) => {
    const pair = cutPair(statement, word);
    return pair ?? { key: wordOf(statement.line, word), value: undefined };
  });
  if (args.length === 0) throw instructionError(statement, 'ARG requires at least one argument');
  return { ...baseOf(statement), name: 'ARG', args };
}

function readPairs(statement: Statement): { pairs: KeyValue[]; legacy: boolean } {
  const { line, name } = statement;
  takeFlags(statement);
  needArgs(statement, `${name} NAME=value`);
  const words = quotedWords(line.text, statement.args, statement.escape);
  const [first] = words;
  if (first === undefined) throw instructionError(statement, `${name} requires at least one argument`);
  if (!line.text.slice(first.start, first.end).includes('=')) {
    // The first word decides: without = the rest of the line is the value, as it stands.
    const { start, end } = statement.args;
    const key = { start, end: wordEnd(line.text, statement.args) };
    if (key.end === end) {
      const shown = line.text.slice(start, end);
      throw instructionError(
        statement,
        `${name} ${shown} has no value`,
        `write ${name} ${shown}=value, or ${name} ${shown}="" for an empty one`,
      );
    }
    const rest = { start: skipSeparators(line.text, key.end, end), end };
    return { pairs: [{ key: wordOf(line, key), value: wordOf(line, rest) }], legacy: true };
  }
  const pairs = words.map((word) => {
    const pair = cutPair(statement, word);
    if (pair !== undefined) return pair;
    const shown = line.text.slice(word.start, word.end);
    throw instructionError(
      statement,
      `${JSON.stringify(shown)} of ${name} has no =`,
      'write name=value; put a value with blanks into quotes',
      rangeOf(line, word),
    );
  });
  return { pairs, legacy: false };
}

/** Undefined when the word has no `=`. */
function cutPair(statement: Statement, word: Span): KeyValue | undefined {
  const { line, name } = statement;
  const equals = line.text.slice(word.start, word.end).indexOf('=');
  if (equals < 0) return undefined;
  if (equals === 0) {
    throw instructionError(statement, `${name} has a value without a name`, 'write name=value', rangeOf(line, word));
  }
  const at = word.start + equals;
  return {
    key: wordOf(line, { start: word.start, end: at }),
    value: wordOf(line, { start: at + 1, end: word.end }),
  };
}
