import { BuildError } from '../contracts/index.ts';
import { dockerfileError } from './errors.ts';
import { expandSpans, expandWord, type ExpandedWord } from './expand.ts';
import { isTooLong, MAX_LINE_BYTES, nextLine, rangeOf, type LineCursor, type LogicalLine } from './lines.ts';
import type { Heredoc } from './types.ts';

/** `<<EOF` as it stands in an instruction, its body not read yet. */
export type HeredocWord = Pick<Heredoc, 'name' | 'expand' | 'chomp' | 'fileDescriptor'>;

const FORM = /^(\d*)<<(-?)[\t\n\f\r ]*([^<]*)$/;
const NOTHING: ReadonlyMap<string, string> = new Map();

/**
 * Reads a heredoc word: `<<EOF`, `<<-EOF`, `<<"EOF"`, `3<<EOF`. Undefined when the text is none (also `<<EOF cmd`, more
 * than one word). A quote anywhere in the delimiter turns expansion off. BuildKit's parser.ParseHeredoc.
 *
 * Errors: `dockerfile` without a location for unbalanced quotes.
 */
export function parseHeredocWord(text: string): HeredocWord | undefined {
  const match = FORM.exec(text);
  const rest = match?.[3];
  if (match === null || rest === undefined || rest === '') return undefined;
  const plain = expandWord(rest, NOTHING, { keepUnset: true });
  const [name] = plain.words;
  if (plain.words.length !== 1 || name === undefined) return undefined;
  const [raw] = expandWord(rest, NOTHING, { keepUnset: true, rawQuotes: true }).words;
  const descriptor = Number(match[1]);
  return {
    name,
    // Escaped quotes are in both readings, quotes that quote only in the raw one.
    expand: countQuotes(name) === countQuotes(raw ?? ''),
    chomp: match[2] === '-',
    fileDescriptor: Number.isSafeInteger(descriptor) ? descriptor : 0,
  };
}

function countQuotes(text: string): number {
  return text.replaceAll(/[^'"]/g, '').length;
}

/** Takes the tabs off the front of every line, as `<<-` asks. */
export function chompTabs(content: string): string {
  return content.replaceAll(/(^|\n)\t+/g, '$1');
}

/**
 * Finds the heredocs of a line and reads their bodies, one after the other, from the lines that follow it. A line whose
 * quotes do not balance has none, as in BuildKit.
 *
 * Errors: `dockerfile` for one that never ends, pointing to its start.
 */
export function readHeredocs(line: LogicalLine, cursor: LineCursor): Heredoc[] {
  if (!line.text.includes('<<')) return [];
  const heredocs: Heredoc[] = [];
  for (const word of wordsOf(line)) {
    const span = { start: word.start, end: word.end };
    let heredoc: HeredocWord | undefined;
    try {
      heredoc = parseHeredocWord(word.text);
    } catch (error) {
      throw error instanceof BuildError ? error.at({ file: line.file, ranges: [rangeOf(line, span)] }) : error;
    }
    if (heredoc !== undefined) heredocs.push(readBody(line, cursor, heredoc, span));
  }
  return heredocs;
}

function wordsOf(line: LogicalLine): readonly ExpandedWord[] {
  try {
    return expandSpans(line.text, NOTHING, { rawQuotes: true, rawEscapes: true, keepUnset: true }).words;
  } catch (error) {
    if (error instanceof BuildError) return [];
    throw error;
  }
}

function readBody(
  line: LogicalLine,
  cursor: LineCursor,
  heredoc: HeredocWord,
  span: { start: number; end: number },
): Heredoc {
  const range = rangeOf(line, span);
  const lines: string[] = [];
  let almost: number | undefined;
  for (let next = nextLine(cursor); next !== undefined; next = nextLine(cursor)) {
    if (isTooLong(cursor.text, next)) {
      const at = { line: next.number, column: 0 };
      throw dockerfileError(line.file, { start: at, end: at }, `the line is longer than ${MAX_LINE_BYTES} bytes`);
    }
    const text = heredoc.chomp ? next.text.replace(/^\t+/, '') : next.text;
    if (text === heredoc.name) {
      const rawContent = lines.join('');
      return { ...heredoc, content: heredoc.chomp ? chompTabs(rawContent) : rawContent, rawContent, range };
    }
    if (almost === undefined && text.trim() === heredoc.name) almost = next.number;
    lines.push(cursor.text.slice(next.offset, next.after));
  }
  const hint =
    almost === undefined
      ? `end it with a line that holds only ${heredoc.name}`
      : `line ${almost} has blanks around ${heredoc.name}: it must stand alone on its line${heredoc.chomp ? ' (only tabs before it)' : ', or write <<- to allow tabs before it'}`;
  throw dockerfileError(line.file, range, `the heredoc ${heredoc.name} is never ended`, hint);
}
