/**
 * Where the frames of a zstd stream begin and end (RFC 8878, section 3.1). Node's stream decoder stops after the first
 * frame, and says nothing; layers are often many frames (zstd:chunked, parallel compressors, ours).
 */

/** A piece of a frame; `last`: the frame ends with it. */
export interface FramePiece {
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

type Step = 'magic' | 'skippable-size' | 'skippable' | 'descriptor' | 'header' | 'block-header' | 'block' | 'checksum';

/**
 * Cuts chunks at the ends of frames and leaves skippable frames out.
 * @throws Error when the bytes are not zstd frames, or end inside one.
 */
export async function* zstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<FramePiece> {
  const scanner = new FrameScanner();
  for await (const chunk of source) yield* scanner.scan(chunk);
  scanner.finish();
}

class FrameScanner {
  #step: Step = 'magic';
  /** Bytes of the field under way that are still to come; fields of over 4 bytes are only counted. */
  #need = 4;
  #value = 0;
  #got = 0;
  #checksum = false;
  #lastBlock = false;
  /** Magic numbers are read before it is known what they begin. */
  #magic: number[] = [];

  *scan(chunk: Uint8Array): Generator<FramePiece> {
    let start = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#step === 'block' || this.#step === 'skippable' || this.#step === 'header') {
        const step = Math.min(this.#need, chunk.length - at);
        at += step;
        this.#need -= step;
        if (this.#need > 0) break;
      } else {
        const byte = chunk[at] ?? 0;
        if (this.#step === 'magic') this.#magic.push(byte);
        this.#value += byte * 2 ** (8 * this.#got);
        at++;
        this.#got++;
        if (this.#got < this.#need) continue;
      }
      const before = this.#step;
      const ended = this.#advance();
      if (before === 'magic') {
        if (this.#step === 'descriptor') yield { bytes: Uint8Array.from(this.#magic), last: false };
        this.#magic = [];
        start = at;
      } else if (before === 'skippable' || before === 'skippable-size') {
        start = at;
      } else if (ended) {
        yield { bytes: chunk.subarray(start, at), last: true };
        start = at;
      }
    }
    if (start < at && this.#inFrame()) yield { bytes: chunk.subarray(start, at), last: false };
  }

  finish(): void {
    if (this.#step !== 'magic' || this.#got > 0) throw new Error('the zstd stream ends in the middle of a frame');
  }

  #inFrame(): boolean {
    return this.#step !== 'magic' && !this.#step.startsWith('skippable');
  }

  /** A field is complete: goes on to the next; true when the frame ends here. */
  #advance(): boolean {
    const value = this.#value;
    switch (this.#step) {
      case 'magic':
        if (value === MAGIC) return this.#expect('descriptor', 1);
        if (value >= SKIPPABLE && value <= SKIPPABLE + 15) return this.#expect('skippable-size', 4);
        throw new Error('not a zstd frame');
      case 'skippable-size':
        return value === 0 ? this.#expect('magic', 4) : this.#expect('skippable', value);
      case 'skippable':
        return this.#expect('magic', 4);
      case 'descriptor':
        return this.#expectHeader(value);
      case 'header':
        return this.#expect('block-header', 3);
      case 'block-header': {
        const type = (value >> 1) & 3;
        if (type === 3) throw new Error('a zstd block of a reserved type');
        this.#lastBlock = (value & 1) === 1;
        const size = type === 1 ? 1 : value >> 3;
        return size === 0 ? this.#endBlock() : this.#expect('block', size);
      }
      case 'block':
        return this.#endBlock();
      case 'checksum':
        this.#expect('magic', 4);
        return true;
    }
  }

  #expectHeader(descriptor: number): false {
    const single = (descriptor & 0x20) !== 0;
    this.#checksum = (descriptor & 4) !== 0;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 2 ** sizeFlag;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const length = (single ? 0 : 1) + dictionaryBytes + sizeBytes;
    return this.#expect('header', length);
  }

  #endBlock(): boolean {
    if (!this.#lastBlock) return this.#expect('block-header', 3);
    if (this.#checksum) return this.#expect('checksum', 4);
    this.#expect('magic', 4);
    return true;
  }

  #expect(step: Step, bytes: number): false {
    this.#step = step;
    this.#need = bytes;
    this.#value = 0;
    this.#got = 0;
    return false;
  }
}
