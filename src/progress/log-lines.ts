import { StringDecoder } from 'node:string_decoder';
import { afterCarriageReturns } from './sanitize.ts';

export interface LogLine {
  /** When its first byte came. */
  readonly timestamp: number;
  readonly text: string;
}

/** Characters after which an unfinished line is broken, so that a step without newlines cannot fill the memory. */
const maxLine = 64 * 1024;

/** Makes lines from chunks of the two streams of one step; characters cut by a chunk's end are put together again. */
export class LogLines {
  readonly #streams = new Map<number, { decoder: StringDecoder; text: string; timestamp: number }>();

  push(stream: number, data: Uint8Array, timestamp: number): readonly LogLine[] {
    let state = this.#streams.get(stream);
    if (state === undefined) {
      state = { decoder: new StringDecoder('utf8'), text: '', timestamp };
      this.#streams.set(stream, state);
    }
    if (state.text === '') state.timestamp = timestamp;
    const text = state.text + state.decoder.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    const parts = text.split('\n');
    state.text = parts.pop() ?? '';
    if (state.text.length > maxLine) {
      parts.push(state.text);
      state.text = '';
    }
    const lines: LogLine[] = [];
    for (const part of parts) {
      // What was begun earlier keeps its time.
      lines.push({ timestamp: lines.length === 0 ? state.timestamp : timestamp, text: finished(part) });
    }
    if (parts.length > 0) state.timestamp = timestamp;
    return lines;
  }

  /** The unfinished line that came last, as far as it goes. */
  get partial(): string {
    let latest = { text: '', timestamp: -Infinity };
    for (const state of this.#streams.values()) {
      if (state.text !== '' && state.timestamp >= latest.timestamp) latest = state;
    }
    return afterCarriageReturns(latest.text);
  }

  /** Ends the step: unfinished lines are lines. */
  end(): readonly LogLine[] {
    const lines: LogLine[] = [];
    for (const { decoder, text, timestamp } of this.#streams.values()) {
      const rest = text + decoder.end();
      if (rest !== '') lines.push({ timestamp, text: finished(rest) });
    }
    this.#streams.clear();
    return lines;
  }
}

function finished(line: string): string {
  return afterCarriageReturns(line.endsWith('\r') ? line.slice(0, -1) : line);
}
