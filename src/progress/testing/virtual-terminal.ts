import type { ProgressStream } from '../stream.ts';

/**
 * A terminal of a few rows: what a person would see. Knows the sequences that we write and fails on any other; wraps long
 * lines, scrolls, and wraps again when it is resized.
 */
export class VirtualTerminal implements ProgressStream {
  readonly isTTY = true;
  columns: number;
  rows: number;
  /** Everything ever written, scrolled away or not; each entry is a row. */
  #rows: string[] = [''];
  #row = 0;
  #column = 0;
  cursorVisible = true;
  writes = 0;
  #resized = new Set<() => void>();

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  on(_event: 'resize', listener: () => void): void {
    this.#resized.add(listener);
  }

  off(_event: 'resize', listener: () => void): void {
    this.#resized.delete(listener);
  }

  get listeners(): number {
    return this.#resized.size;
  }

  /** All rows, those that scrolled away first; without colours. */
  get text(): string {
    return this.#rows
      .map((row) => row.trimEnd())
      .join('\n')
      .trimEnd();
  }

  /** Rows on the screen. */
  get screen(): readonly string[] {
    return this.#rows.slice(this.#top).map((row) => row.trimEnd());
  }

  get #top(): number {
    return Math.max(0, this.#rows.length - this.rows);
  }

  write(text: string): void {
    this.writes++;

    const pattern = /\x1b\[\?25([lh])|\x1b\[(\d+)A|\x1b\[([KJ])|\x1b\[[\d;]*m|\r|\n|[^\x00-\x1f\x7f-\x9f]|(.)/gsu;
    for (const match of text.matchAll(pattern)) {
      const [all, cursor, up, clear, unknown] = match;
      if (unknown !== undefined)
        throw new Error(`the terminal does not know ${JSON.stringify(text.slice(match.index))}`);
      if (cursor !== undefined) this.cursorVisible = cursor === 'h';
      else if (up !== undefined) this.#row = Math.max(this.#top, this.#row - Number(up));
      else if (clear === 'K') this.#rows[this.#row] = this.#line.slice(0, this.#column);
      else if (clear === 'J') {
        this.#rows[this.#row] = this.#line.slice(0, this.#column);
        this.#rows.length = this.#row + 1;
      } else if (all === '\r') this.#column = 0;
      else if (all === '\n') this.#newLine();
      else if (!all.startsWith('\x1b')) this.#put(all);
    }
  }

  /** Rows that became too long are wrapped, as most terminals do; those that were wrapped stay so. */
  resize(columns: number, rows: number): void {
    const before = this.#rows.slice(0, this.#row + 1);
    const wrapped = (all: readonly string[]) =>
      all.flatMap((row) => {
        const text = row.trimEnd();
        const parts: string[] = [];
        for (let i = 0; i === 0 || i < text.length; i += columns) parts.push(text.slice(i, i + columns));
        return parts;
      });
    this.#row = wrapped(before).length - 1;
    this.#rows = wrapped(this.#rows);
    this.columns = columns;
    this.rows = rows;
    for (const listener of this.#resized) listener();
  }

  get #line(): string {
    return this.#rows[this.#row] ?? '';
  }

  #newLine(): void {
    this.#row++;
    this.#column = 0;
    this.#rows[this.#row] ??= '';
  }

  #put(char: string): void {
    if (this.#column >= this.columns) this.#newLine();
    const line = this.#line.padEnd(this.#column);
    this.#rows[this.#row] = line.slice(0, this.#column) + char + line.slice(this.#column + 1);
    this.#column++;
  }
}
