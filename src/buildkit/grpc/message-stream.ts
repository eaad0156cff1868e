/** Both ends of a gRPC stream are one thing: messages that come, messages that go. */
import type { Http2Stream } from 'node:http2';
import { MessageReader, messagePrefix } from './frames.ts';

/** Messages that have come and wait for a reader before the stream is paused. */
const QUEUE_MAX = 64;

/** Reads the messages of a stream one by one, pausing it while nobody reads. Its owner says when they end, and how. */
export class IncomingMessages implements AsyncIterable<Uint8Array> {
  readonly #stream: Http2Stream;
  readonly #reader = new MessageReader();
  readonly #queue: Uint8Array[] = [];
  #ended = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      try {
        this.#queue.push(...this.#reader.push(chunk));
      } catch (error) {
        this.fail(error);
        return;
      }
      if (this.#queue.length >= QUEUE_MAX) stream.pause();
      this.#notify();
    });
  }

  /** A message is there to be read at once. */
  get isWaiting(): boolean {
    return this.#queue.length > 0;
  }

  /** No more will come. */
  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /** Readers get this error once what came before it has been read. */
  fail(error: unknown): void {
    this.#error ??= error;
    this.end();
  }

  /** The next message; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        if (this.#queue.length === 0 && this.#stream.isPaused()) this.#stream.resume();
        return message;
      }
      if (this.#error !== undefined) throw this.#error instanceof Error ? this.#error : new Error('the stream broke');
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (let message = await this.next(); message !== undefined; message = await this.next()) yield message;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/**
 * Writes one message, given in parts so that file contents need not be copied behind their header. Resolves when the
 * stream takes more; when the stream is gone, at once: its error comes by way of whoever reads it.
 */
export async function writeMessage(stream: Http2Stream, ...parts: readonly Uint8Array[]): Promise<void> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  await writeBytes(stream, messagePrefix(length), ...parts);
}

/** As `writeMessage`, of bytes that are messages with their prefixes already. */
export async function writeBytes(stream: Http2Stream, ...parts: readonly Uint8Array[]): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return;
  stream.cork();
  let ready = true;
  for (const part of parts) if (part.length > 0) ready = stream.write(part);
  stream.uncork();
  if (ready) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}
