import { availableParallelism } from 'node:os';
import { BuildError } from '../contracts/index.ts';
import type { BuildErrorInit, Digest, Tree } from '../contracts/index.ts';
import { decodeTree } from '../store/index.ts';
import { entryUrl } from '../sys/entry.ts';
import { boundYoungGeneration } from '../sys/young-generation.ts';
import { decompress } from './decompress.ts';
import { readLayer } from './layer-tree.ts';

export type ToReadThread =
  | { readonly kind: 'start'; readonly name: string }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array<ArrayBuffer>; readonly length: number }
  | { readonly kind: 'end' };
export type FromReadThread =
  /** The chunk goes back to be filled again. */
  | { readonly kind: 'taken'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'done'; readonly tree: Uint8Array; readonly diffId: Digest; readonly contentSize: number }
  | { readonly kind: 'error'; readonly error: BuildErrorInit };

export interface ReadBlobOptions {
  /** Of the blob, for errors. */
  readonly name: string;
  /** Bytes of the blob as it is said to be. */
  readonly size: number;
  readonly signal: AbortSignal;
}

export interface ReadBlob {
  readonly tree: Tree;
  readonly diffId: Digest;
  readonly contentSize: number;
}

/** A thread takes 40 ms to start and load; below this many bytes it does not pay. */
const THREAD_MIN = 16 << 20;
/** Bytes handed over at once, and how often before the thread has taken some: about what comes while it starts. */
const CHUNK = 512 << 10;
const AHEAD = 24;

let threads = 0;

/**
 * `readLayer` of a compressed blob. A large one is decompressed and hashed on a thread of its own, so that who gets its
 * bytes can get and verify the next meanwhile.
 *
 * @param compressed Its chunks may be used again once the next one was asked for.
 * @throws BuildError as `readLayer` and `decompress`
 */
export async function readBlob(compressed: AsyncIterable<Uint8Array>, options: ReadBlobOptions): Promise<ReadBlob> {
  const { name, size, signal } = options;
  if (size < THREAD_MIN || threads >= availableParallelism()) {
    return readLayer(decompress(compressed, { name }), { name, signal });
  }
  threads++;
  try {
    return await readOnThread(compressed, options);
  } finally {
    threads--;
  }
}

async function readOnThread(
  compressed: AsyncIterable<Uint8Array>,
  { name, signal }: ReadBlobOptions,
): Promise<ReadBlob> {
  boundYoungGeneration();
  const { Worker } = await import('node:worker_threads');
  const thread = new Worker(entryUrl(import.meta.url, './read-layer-thread.ts'), { trackUnmanagedFds: false });
  const post = (message: ToReadThread, transfer: readonly ArrayBuffer[] = []): void =>
    thread.postMessage(message, [...transfer]);
  const free: Uint8Array<ArrayBuffer>[] = [];
  const emptyBlock = (): Uint8Array<ArrayBuffer> => free.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(CHUNK).buffer);
  let ahead = 0;
  let wake: (() => void) | undefined;
  const answer = new Promise<ReadBlob>((resolve, reject) => {
    thread.on('error', (error) => reject(error instanceof Error ? error : new Error(String(error))));
    thread.on('message', (message: FromReadThread) => {
      if (message.kind === 'taken') {
        ahead--;
        free.push(message.bytes);
        wake?.();
      } else if (message.kind === 'error') reject(new BuildError(message.error));
      else {
        const { tree, diffId, contentSize } = message;
        resolve({ tree: decodeTree(tree), diffId, contentSize });
      }
    });
  });
  const state = { failed: false };
  answer.catch(() => {
    state.failed = true;
    wake?.();
  });
  const send = async (bytes: Uint8Array<ArrayBuffer>, length: number): Promise<void> => {
    while (ahead >= AHEAD && !state.failed) await new Promise<void>((resolve) => (wake = resolve));
    ahead++;
    post({ kind: 'chunk', bytes, length }, [bytes.buffer]);
  };
  try {
    post({ kind: 'start', name });
    let block = emptyBlock();
    let used = 0;
    for await (const part of compressed) {
      signal.throwIfAborted();
      for (let from = 0; from < part.length;) {
        const length = Math.min(part.length - from, CHUNK - used);
        block.set(part.subarray(from, from + length), used);
        used += length;
        from += length;
        if (used < CHUNK) continue;
        await send(block, used);
        block = emptyBlock();
        used = 0;
      }
      // What is wrong will be said by the answer.
      if (state.failed) break;
    }
    if (used > 0) await send(block, used);
    post({ kind: 'end' });
    return await answer;
  } finally {
    void thread.terminate();
  }
}
