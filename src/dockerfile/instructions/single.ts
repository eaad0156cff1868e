import { expandWord } from '../expand.ts';
import { rangeOf, wordOf } from '../lines.ts';
import { nearest } from '../nearest.ts';
import { isSignal } from '../signal.ts';
import { splitSpan } from '../space.ts';
import { argsArray, argsWord, hasArgs, type Statement } from '../statement.ts';
import type {
  ExposeInstruction,
  MaintainerInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  Word,
  WorkdirInstruction,
} from '../types.ts';
import { baseOf, instructionError, needArgs, takeFlags } from './base.ts';

/** The one argument of WORKDIR, USER, STOPSIGNAL, MAINTAINER: all that is left of the line. */
function onlyArg(statement: Statement, example: string): Word {
  if (hasArgs(statement)) return argsWord(statement);
  throw instructionError(statement, `${statement.name} requires exactly one argument`, `for example: ${example}`);
}

export function parseWorkdir(statement: Statement): WorkdirInstruction {
  const path = onlyArg(statement, 'WORKDIR /app');
  takeFlags(statement);
  return { ...baseOf(statement), name: 'WORKDIR', path };
}

export function parseUser(statement: Statement): UserInstruction {
  const user = onlyArg(statement, 'USER 1000:1000');
  takeFlags(statement);
  return { ...baseOf(statement), name: 'USER', user };
}

export function parseMaintainer(statement: Statement): MaintainerInstruction {
  const maintainer = onlyArg(statement, 'MAINTAINER name');
  takeFlags(statement);
  return { ...baseOf(statement), name: 'MAINTAINER', maintainer };
}

/** Flags are not looked at, as in BuildKit. A signal with a variable is checked when it is known. */
export function parseStopsignal(statement: Statement): StopsignalInstruction {
  const signal = onlyArg(statement, 'STOPSIGNAL SIGTERM');
  if (!signal.text.includes('$')) {
    const name = expandWord(signal.text, () => undefined, statement.escape).text;
    if (!isSignal(name)) {
      const near = nearest(name, [
        'SIGTERM',
        'SIGINT',
        'SIGQUIT',
        'SIGKILL',
        'SIGHUP',
        'SIGUSR1',
        'SIGUSR2',
        'SIGWINCH',
      ]);
      const hint = near === undefined ? 'write a name as SIGTERM or a number as 15' : `did you mean ${near}?`;
      throw instructionError(statement, `${JSON.stringify(name)} is no signal`, hint, signal.range);
    }
  }
  return { ...baseOf(statement), name: 'STOPSIGNAL', signal };
}

export function parseExpose(statement: Statement): ExposeInstruction {
  needArgs(statement, 'EXPOSE 8080/tcp');
  takeFlags(statement);
  const ports = splitSpan(statement.line.text, statement.args).map((span) => wordOf(statement.line, span));
  return { ...baseOf(statement), name: 'EXPOSE', ports };
}

/** Words or a JSON array. */
export function parseVolume(statement: Statement): VolumeInstruction {
  needArgs(statement, 'VOLUME /data');
  takeFlags(statement);
  const { line } = statement;
  const array = argsArray(statement);
  const volumes: Word[] =
    array.kind === 'array'
      ? array.items.map(({ value, span }) => ({ text: value.trim(), range: rangeOf(line, span) }))
      : splitSpan(line.text, statement.args).map((span) => wordOf(line, span));
  if (volumes.length === 0) throw instructionError(statement, 'VOLUME requires at least one argument');
  const empty = volumes.find((volume) => volume.text === '');
  if (empty !== undefined) {
    throw instructionError(statement, 'a path of VOLUME is empty', 'name a directory, as /data', empty.range);
  }
  return { ...baseOf(statement), name: 'VOLUME', volumes };
}
