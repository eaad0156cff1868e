/**
 * Columns that text takes on a terminal. `string-width` knows all of Unicode and is loaded when the first text that is
 * not ASCII comes; until then such characters count as two columns, so that no line is ever too long.
 */
let measure: ((text: string) => number) | undefined;
let loading: Promise<void> | undefined;

/** Sequences of colour take no columns. */
const sgr = /\x1b\[[\d;:]*m/g;
const printableAscii = /^[\x20-\x7e]*$/;

export function textWidth(text: string): number {
  const plain = text.replace(sgr, '');
  if (printableAscii.test(plain)) return plain.length;
  if (measure !== undefined) return measure(plain);
  void loadWidths();
  return Array.from(plain).reduce((width, char) => width + (printableAscii.test(char) ? 1 : 2), 0);
}

/** Resolves when widths are exact. */
export function loadWidths(): Promise<void> {
  loading ??= import('string-width').then((module) => {
    measure = module.default;
  });
  return loading;
}

/** As much of `text` as fits into `columns`; colours do not count and end with the text. */
export function clip(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let result = '';
  let width = 0;
  let colored = false;
  for (const part of text.split(/(\x1b\[[\d;:]*m)/)) {
    if (part.startsWith('\x1b')) {
      colored = true;
      result += part;
      continue;
    }
    for (const char of graphemes(part)) {
      width += textWidth(char);
      if (width > columns) return colored ? `${result}\x1b[0m` : result;
      result += char;
    }
  }
  return result;
}

let segmenter: Intl.Segmenter | undefined;

function graphemes(text: string): Iterable<string> {
  if (printableAscii.test(text)) return text;
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}
