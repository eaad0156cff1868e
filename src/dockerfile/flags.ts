import { dockerfileError } from './errors.ts';
import { rangeOf, type LogicalLine } from './lines.ts';
import { nearest } from './nearest.ts';
import { isSpaceAt, type Span } from './space.ts';
import type { Flag, Word } from './types.ts';

/** `strings` may be repeated; `bool` takes true, false or no value. */
export type FlagKind = 'bool' | 'string' | 'strings';

/** The flags that an instruction knows. */
export type FlagTable = Readonly<Record<string, FlagKind>>;

/**
 * Takes the flags off the front of an instruction's arguments: words that begin with `--`, up to the first that does
 * not, or to a lone `--`. Quotes group and disappear, the escape character takes the next character as it is
 * (BuildKit's parser/split_command.go).
 */
export function splitFlags(
  line: LogicalLine,
  span: Span,
  escape: string,
): { readonly flags: readonly Flag[]; readonly rest: Span } {
  const { text } = line;
  const flags: Flag[] = [];
  let at = span.start;
  for (;;) {
    while (at < span.end && isSpaceAt(text, at)) at++;
    if (!(text.startsWith('--', at) && at + 1 < span.end)) return { flags, rest: { start: at, end: span.end } };
    const start = at;
    let word = '';
    /** Where each unit of `word` stands. */
    const places: number[] = [];
    let quote = '';
    while (at < span.end && (quote !== '' || !isSpaceAt(text, at))) {
      let char = text.charAt(at);
      if (quote === '' && (char === '"' || char === "'")) {
        quote = char;
        at++;
        continue;
      }
      if (quote !== '' && char === quote) {
        quote = '';
        at++;
        continue;
      }
      if (char === escape) {
        at++;
        if (at >= span.end) break;
        char = text.charAt(at);
      }
      word += char;
      places.push(at);
      at++;
    }
    const end = Math.min(at, span.end);
    if (word === '--') return { flags, rest: { start: end, end: span.end } };
    flags.push(flagOf(line, word, places, { start, end }));
  }
}

function flagOf(line: LogicalLine, word: string, places: readonly number[], span: Span): Flag {
  const equals = word.indexOf('=');
  const range = rangeOf(line, span);
  if (equals < 0) return { name: word.slice(2), value: undefined, range, valueRange: undefined };
  const valueStart = Math.min(places[equals + 1] ?? span.end, span.end);
  return {
    name: word.slice(2, equals),
    value: word.slice(equals + 1),
    range,
    valueRange: rangeOf(line, { start: valueStart, end: span.end }),
  };
}

/** Which instructions know a flag, for one that stands on another. */
const OWNERS: readonly (readonly [flags: RegExp, instructions: string])[] = [
  [/^(?:chown|chmod|link|exclude)$/, 'ADD and COPY'],
  [/^(?:from|parents)$/, 'COPY'],
  [/^(?:checksum|keep-git-dir|unpack)$/, 'ADD'],
  [/^(?:mount|network|security|device)$/, 'RUN'],
  [/^platform$/, 'FROM'],
  [/^(?:interval|timeout|start-period|start-interval|retries)$/, 'HEALTHCHECK'],
];

function hintFor(name: string, keyword: string, known: readonly string[]): string {
  const owner = OWNERS.find(([flags]) => flags.test(name))?.[1];
  const near = owner === undefined ? nearest(name, known) : undefined;
  if (near !== undefined) return `did you mean --${near}?`;
  const belongs = owner === undefined ? '' : `--${name} is a flag of ${owner}; `;
  if (known.length > 0) return `${belongs}${keyword} knows ${known.map((one) => `--${one}`).join(', ')}`;
  return `${belongs}${keyword} takes no flags; put -- before arguments that begin with --`;
}

/**
 * Checks flags against what the instruction knows.
 * Errors: `dockerfile` for an unknown flag (with the nearest known), a repeated one, a missing or wrong value.
 */
export function checkFlags(line: LogicalLine, keyword: string, flags: readonly Flag[], table: FlagTable): void {
  if (flags.length === 0) return;
  const seen = new Set<string>();
  for (const flag of flags) {
    const kind = Object.hasOwn(table, flag.name) ? table[flag.name] : undefined;
    const shown = `--${flag.name}`;
    if (kind === undefined) {
      const hint = hintFor(flag.name, keyword, Object.keys(table));
      throw dockerfileError(line.file, flag.range, `unknown flag ${shown} of ${keyword}`, hint);
    }
    if (seen.has(flag.name) && kind !== 'strings') {
      throw dockerfileError(line.file, flag.range, `${shown} is given twice`, 'keep one of them');
    }
    seen.add(flag.name);
    if (kind === 'bool') {
      if (flag.value === '') {
        throw dockerfileError(line.file, flag.range, `${shown} has an empty value`, `write ${shown} or ${shown}=true`);
      }
      if (flag.value !== undefined && !/^(true|false)$/i.test(flag.value)) {
        throw dockerfileError(line.file, flag.range, `${shown} is true or false, not ${JSON.stringify(flag.value)}`);
      }
    } else if (flag.value === undefined) {
      throw dockerfileError(line.file, flag.range, `${shown} has no value`, `write ${shown}=value`);
    }
  }
}

/** A flag's value; an empty one counts as not given, as in BuildKit. */
export function flagWord(flags: readonly Flag[], name: string): Word | undefined {
  if (flags.length === 0) return undefined;
  const flag = flags.find((candidate) => candidate.name === name);
  if (flag?.value === undefined || flag.value === '') return undefined;
  return { text: flag.value, range: flag.valueRange ?? flag.range };
}

const NO_WORDS: readonly Word[] = [];

/** All values of a flag that may be repeated, in order. */
export function flagWords(flags: readonly Flag[], name: string): readonly Word[] {
  if (flags.length === 0) return NO_WORDS;
  return flags
    .filter((flag) => flag.name === name)
    .map((flag) => ({ text: flag.value ?? '', range: flag.valueRange ?? flag.range }));
}

/** A checked bool flag; undefined when it is not given. */
export function flagBool(flags: readonly Flag[], name: string): boolean | undefined {
  const flag = flags.find((candidate) => candidate.name === name);
  if (flag === undefined) return undefined;
  return flag.value === undefined || flag.value.toLowerCase() === 'true';
}
