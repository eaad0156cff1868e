import type { ProgressStream } from './stream.ts';
import { textWidth } from './width.ts';

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';
const clearToEndOfLine = '\x1b[K';
const clearBelow = '\x1b[J';

/** The part of a terminal that is drawn over and over again: the lines last drawn, above the cursor. */
export class Screen {
  readonly #stream: ProgressStream;
  /** Widths of the lines last drawn: a terminal that became narrower shows each on several rows. */
  #drawn: readonly number[] = [];

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  /** A terminal that does not say its size is taken for a small one. */
  size(): { readonly columns: number; readonly rows: number } {
    return { columns: positive(this.#stream.columns, 80), rows: positive(this.#stream.rows, 24) };
  }

  /**
   * Replaces what was drawn before by `lines`, in one write, with the cursor hidden meanwhile only, so that it is there
   * whenever the process ends.
   */
  draw(lines: readonly string[]): void {
    const { columns } = this.size();
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    const up = rows === 0 ? '' : `\x1b[${rows}A`;
    const body = lines.map((line) => `${line}${clearToEndOfLine}\n`).join('');
    this.#stream.write(`${hideCursor}\r${up}${body}${clearBelow}${showCursor}`);
    this.#drawn = lines.map(textWidth);
  }
}

function positive(value: number | undefined, fallback: number): number {
  return value !== undefined && value > 0 ? value : fallback;
}
