import { SPARSE_SEGMENTS_MAX } from './sparse.ts';
import type { SparseNumbers } from './sparse.ts';

/**
 * The map of sparse format 1.0, which stands before the data in whole blocks: decimal lines, first the number of pairs,
 * then offset and length of each.
 */
export class SparseMapReader {
  #text = '';
  readonly #numbers: number[] = [];
  #count: number | undefined;

  /** @returns the numbers once they are complete; undefined when a further block is needed. */
  take(block: Buffer): SparseNumbers | 'damaged' | undefined {
    const lines = (this.#text + block.toString('latin1')).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      if (!/^[0-9]{1,16}$/.test(line)) return 'damaged';
      const number = Number(line);
      if (this.#count === undefined) {
        if (number > SPARSE_SEGMENTS_MAX) return 'damaged';
        this.#count = number;
      } else {
        this.#numbers.push(number);
      }
      if (this.#numbers.length === 2 * this.#count) return this.#numbers;
    }
    return this.#text.length > 16 ? 'damaged' : undefined;
  }
}
