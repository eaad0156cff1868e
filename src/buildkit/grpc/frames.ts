/** Messages in a stream: a flag, a length of four bytes, the message (PROTOCOL-HTTP2.md, Length-Prefixed-Message). */
import { GrpcError, STATUS } from './status.ts';

const PREFIX = 5;
/** More than BuildKit's own 16 MiB; what is larger is no message of its. Bytes. */
export const MESSAGE_MAX = 32 << 20;

/** The prefix of a message of `length` bytes. */
export function messagePrefix(length: number): Uint8Array {
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** Cuts a stream of bytes into messages. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #length = 0;

  /** @throws GrpcError for a message that is too large or compressed. */
  push(chunk: Buffer): readonly Uint8Array[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const messages: Uint8Array[] = [];
    for (let message = this.#next(); message !== undefined; message = this.#next()) messages.push(message);
    return messages;
  }

  get isBetweenMessages(): boolean {
    return this.#length === 0;
  }

  #next(): Uint8Array | undefined {
    if (this.#length < PREFIX) return undefined;
    const head = this.#take(PREFIX, false);
    if (head[0] !== 0) throw new GrpcError(STATUS.internal, 'a message is compressed, which was not agreed');
    const size = head.readUInt32BE(1);
    if (size > MESSAGE_MAX) throw new GrpcError(STATUS.resourceExhausted, `a message of ${size} bytes is too large`);
    if (this.#length < PREFIX + size) return undefined;
    this.#take(PREFIX, true);
    return this.#take(size, true);
  }

  /** The first `size` bytes; copied only where they lie in several chunks. */
  #take(size: number, consume: boolean): Buffer {
    const first = this.#chunks[0] ?? Buffer.alloc(0);
    if (first.length < size) this.#chunks = [Buffer.concat(this.#chunks)];
    const whole = this.#chunks[0] ?? Buffer.alloc(0);
    const taken = whole.subarray(0, size);
    if (consume) {
      this.#length -= size;
      if (whole.length === size) this.#chunks.shift();
      else this.#chunks[0] = whole.subarray(size);
    }
    return taken;
  }
}
