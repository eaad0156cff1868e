/** Types one statement; a file an instruction family. */
import { BuildError } from '../../contracts/index.ts';
import { nearest } from '../nearest.ts';
import { argsWord, cutStatement, type Statement } from '../statement.ts';
import type { FromInstruction, Instruction, OnbuildInstruction } from '../types.ts';
import { baseOf, instructionError, needArgs, takeFlags } from './base.ts';
import { parseCmd, parseEntrypoint, parseHealthcheck, parseRun, parseShell } from './command.ts';
import { parseAdd, parseCopy } from './copy.ts';
import { parseFrom } from './from.ts';
import { parseArg, parseEnv, parseLabel } from './pairs.ts';
import { parseExpose, parseMaintainer, parseStopsignal, parseUser, parseVolume, parseWorkdir } from './single.ts';

const PARSERS: Readonly<Record<string, (statement: Statement) => Instruction | FromInstruction>> = {
  ADD: parseAdd,
  ARG: parseArg,
  CMD: parseCmd,
  COPY: parseCopy,
  ENTRYPOINT: parseEntrypoint,
  ENV: parseEnv,
  EXPOSE: parseExpose,
  FROM: parseFrom,
  HEALTHCHECK: parseHealthcheck,
  LABEL: parseLabel,
  MAINTAINER: parseMaintainer,
  ONBUILD: parseOnbuild,
  RUN: parseRun,
  SHELL: parseShell,
  STOPSIGNAL: parseStopsignal,
  USER: parseUser,
  VOLUME: parseVolume,
  WORKDIR: parseWorkdir,
};

/**
 * Types a statement.
 * Errors: `dockerfile` for an unknown keyword (with the nearest known one) and for whatever the instruction refuses.
 */
export function typeStatement(statement: Statement): Instruction | FromInstruction {
  const parse = Object.hasOwn(PARSERS, statement.name) ? PARSERS[statement.name] : undefined;
  if (parse !== undefined) {
    try {
      return parse(statement);
    } catch (error) {
      // What knows only a word does not know where it stands.
      const location = { file: statement.line.file, ranges: [statement.range] };
      throw error instanceof BuildError ? error.at(location) : error;
    }
  }
  const shown = statement.keyword.text;
  const near = nearest(shown, Object.keys(PARSERS));
  throw instructionError(
    statement,
    shown === '' ? 'the continuation leads to nothing' : `unknown instruction: ${shown}`,
    near === undefined ? unknownHint(shown) : `did you mean ${near}?`,
    statement.keyword.range,
  );
}

function unknownHint(shown: string): string {
  if (/^[&|;]/.test(shown) || shown.startsWith('-')) return 'a line before may have lost the \\ at its end';
  return `instructions are ${Object.keys(PARSERS).join(', ')}`;
}

const NO_TRIGGERS = new Set(['ONBUILD', 'MAINTAINER', 'FROM']);

/** `ONBUILD instruction`. */
function parseOnbuild(statement: Statement): OnbuildInstruction {
  needArgs(statement, 'ONBUILD COPY . /src');
  takeFlags(statement);
  const cut = cutStatement(statement.line, statement.args, statement.escape);
  if (NO_TRIGGERS.has(cut.name)) {
    throw instructionError(
      statement,
      `ONBUILD ${cut.name} is not allowed`,
      'a trigger is any instruction but FROM, MAINTAINER and ONBUILD',
      argsWord(statement).range,
    );
  }
  const trigger = typeStatement({
    ...cut,
    heredocs: statement.heredocs,
    range: { start: cut.range.start, end: statement.range.end },
  });
  if (trigger.name === 'FROM') throw instructionError(statement, 'ONBUILD FROM is not allowed');
  const base = baseOf(statement);
  const bodies = statement.heredocs.map((heredoc) => `\n${heredoc.rawContent ?? heredoc.content}${heredoc.name}`);
  return {
    ...base,
    name: 'ONBUILD',
    // To the end of the line, blanks too, as BuildKit keeps it.
    expression: statement.line.text.slice(statement.span.start).replace(/^\s*ONBUILD\s*/i, '') + bodies.join(''),
    instruction: trigger,
  };
}
