import { flagWord, type FlagTable } from '../flags.ts';
import { wordOf } from '../lines.ts';
import { splitSpan } from '../space.ts';
import type { Statement } from '../statement.ts';
import type { FromInstruction } from '../types.ts';
import { baseOf, instructionError, takeFlags } from './base.ts';

const FROM_FLAGS: FlagTable = { platform: 'string' };
const STAGE_NAME = /^[a-z][a-z0-9\-_.]*$/;

/** `FROM [--platform=p] image [AS name]`. */
export function parseFrom(statement: Statement): FromInstruction {
  const { line } = statement;
  const words = splitSpan(line.text, statement.args).map((span) => wordOf(line, span));
  const image = words[0];
  const as = words[1];
  const name = words[2];
  const named = as !== undefined && as.text.toUpperCase() === 'AS' && name !== undefined && words.length === 3;
  if (image === undefined || (as !== undefined && !named)) {
    throw instructionError(
      statement,
      'FROM takes an image, or an image and AS and a name',
      'write FROM image or FROM image AS name',
    );
  }
  if (named && !STAGE_NAME.test(name.text.toLowerCase())) {
    throw instructionError(
      statement,
      `${JSON.stringify(name.text)} cannot be the name of a stage`,
      'a name begins with a letter and has letters, digits, -, _ and . only',
      name.range,
    );
  }
  takeFlags(statement, FROM_FLAGS);
  return {
    ...baseOf(statement),
    name: 'FROM',
    image,
    as: name,
    asKeyword: as,
    platform: flagWord(statement.flags, 'platform'),
  };
}
