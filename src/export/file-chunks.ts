import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

const CHUNK = 1 << 20;

/**
 * A file in pieces of 1 MiB. Each is gone once the next one is asked for: there are only two, of which one is read while
 * the other is written. (A stream of Node's makes new ones, and leaves a hundred of them to be collected.)
 */
export async function* fileChunks(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path);
  let next: Promise<Uint8Array> | undefined;
  try {
    let free = Buffer.allocUnsafeSlow(CHUNK);
    let reading = Buffer.allocUnsafeSlow(CHUNK);
    next = readInto(file, reading);
    for (let piece = await next; piece.length > 0; piece = await next) {
      next = readInto(file, free);
      yield piece;
      [free, reading] = [reading, free];
    }
  } finally {
    await next?.catch(() => undefined);
    await file.close();
  }
}

async function readInto(file: FileHandle, buffer: Buffer): Promise<Uint8Array> {
  const { bytesRead } = await file.read(buffer, 0, buffer.length);
  return buffer.subarray(0, bytesRead);
}
