import { flagBool, flagWord, flagWords, type FlagTable } from '../flags.ts';
import { parseHeredocWord } from '../heredoc.ts';
import { rangeOf, wordOf } from '../lines.ts';
import { splitSpan } from '../space.ts';
import { argsArray, type Statement } from '../statement.ts';
import type { AddInstruction, CopyInstruction, Heredoc, Word } from '../types.ts';
import { BuildError } from '../../contracts/index.ts';
import { baseOf, instructionError, takeFlags } from './base.ts';

type Sources = CopyInstruction['sources'];

const SHARED_FLAGS = { chown: 'string', chmod: 'string', link: 'bool', exclude: 'strings' } as const;
const COPY_FLAGS: FlagTable = { from: 'string', ...SHARED_FLAGS, parents: 'bool' };
const ADD_FLAGS: FlagTable = { ...SHARED_FLAGS, checksum: 'string', 'keep-git-dir': 'bool', unpack: 'bool' };

export function parseCopy(statement: Statement): CopyInstruction {
  const { flags } = statement;
  const words = readWords(statement);
  takeFlags(statement, COPY_FLAGS);
  return {
    ...baseOf(statement),
    name: 'COPY',
    ...readPaths(statement, words),
    ...sharedFlags(statement),
    from: flagWord(flags, 'from'),
    parents: flagBool(flags, 'parents') === true,
  };
}

export function parseAdd(statement: Statement): AddInstruction {
  const { flags } = statement;
  const words = readWords(statement);
  takeFlags(statement, ADD_FLAGS);
  return {
    ...baseOf(statement),
    name: 'ADD',
    ...readPaths(statement, words),
    ...sharedFlags(statement),
    checksum: flagWord(flags, 'checksum'),
    keepGitDir: flagBool(flags, 'keep-git-dir'),
    unpack: flagBool(flags, 'unpack'),
  };
}

function sharedFlags({ flags }: Statement): Pick<CopyInstruction, 'chown' | 'chmod' | 'link' | 'excludes'> {
  return {
    chown: flagWord(flags, 'chown'),
    chmod: flagWord(flags, 'chmod'),
    link: flagBool(flags, 'link') === true,
    excludes: flagWords(flags, 'exclude'),
  };
}

interface Words {
  readonly sources: readonly Word[];
  readonly destination: Word;
}

function readWords(statement: Statement): Words {
  const { line, name } = statement;
  const array = argsArray(statement);
  const words: Word[] =
    array.kind === 'array'
      ? array.items.map(({ value, span }) => ({ text: value, range: rangeOf(line, span) }))
      : splitSpan(line.text, statement.args).map((span) => wordOf(line, span));
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    throw instructionError(
      statement,
      `${name} requires at least two arguments: a source and a destination`,
      words.length === 1 ? `where should ${words[0]?.text ?? ''} go? write ${name} source destination` : undefined,
    );
  }
  return { sources: words.slice(0, -1), destination };
}

function readPaths(statement: Statement, words: Words): { sources: Sources; destination: Word } {
  const { sources, destination } = words;
  if (heredocNamed(destination.text) !== undefined) {
    throw instructionError(
      statement,
      `${statement.name} cannot copy to a heredoc`,
      'put the destination after the heredocs',
      destination.range,
    );
  }
  return {
    sources: sources.map((word) => {
      const named = heredocNamed(word.text);
      if (named === undefined) return { kind: 'path', ...word };
      // BuildKit has no body for such a word in JSON, but takes it for a heredoc all the same: of no lines.
      // Later ones win, as in BuildKit, when two have one name.
      const found = statement.heredocs.findLast((heredoc) => heredoc.name === named.name);
      const heredoc: Heredoc = found ?? { ...named, content: '', range: word.range };
      return { kind: 'heredoc', ...heredoc, range: word.range };
    }),
    destination,
  };
}

/** Words that only look like heredocs are paths. */
function heredocNamed(text: string): ReturnType<typeof parseHeredocWord> {
  try {
    return parseHeredocWord(text);
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
