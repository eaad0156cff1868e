/** The tar of a plan as a stream of blocks: made on a thread, or right here when there is little to read. */
import { BuildError } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import { entryUrl } from '../../sys/entry.ts';
import { boundYoungGeneration } from '../../sys/young-generation.ts';
import { TarAssembler } from './assemble.ts';
import type { FromPackThread, ToPackThread } from './messages.ts';
import type { PlanPiece } from './plan.ts';

export interface TarStream {
  /** Blocks of one size, the last one shorter. Each is to be given to `release` when it is done with. */
  readonly blocks: AsyncIterable<Uint8Array>;
  release(block: Uint8Array): void;
  /** Known once `blocks` has ended. */
  result(): { readonly diffId: Digest; readonly size: number };
}

/** What the blocks of a tar are to be. */
export interface TarBlocks {
  /** Bytes. */
  readonly size: number;
  /** As many as the taker has at once. */
  readonly inWork: number;
}

/** Blocks beside those in work: one that is filled, one on its way. */
const BLOCKS_AHEAD = 2;
/** Pieces that wait in the thread, so that it never waits for headers. */
const PIECES_AHEAD = 2;

/**
 * On this thread. Reads are synchronous: for a few files only.
 * @param size About what the tar will have; blocks are no larger.
 */
export function streamHere(pieces: Iterable<PlanPiece>, wanted: TarBlocks, size: number): TarStream {
  const blockSize = Math.min(wanted.size, Math.max(4096, size));
  const free: Uint8Array[] = [];
  const take = (): Uint8Array => free.pop() ?? new Uint8Array(blockSize);
  const assembler = new TarAssembler(take());
  async function* blocks(): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) {
      for (const block of assembler.add(piece)) {
        yield block;
        assembler.refill(take());
      }
    }
    for (const block of assembler.end()) {
      yield block;
      assembler.refill(take());
    }
  }
  let result: { diffId: Digest; size: number } | undefined;
  return {
    blocks: blocks(),
    release(block) {
      if (block.length === blockSize) free.push(block);
    },
    result: () => (result ??= { diffId: assembler.diffId(), size: assembler.size }),
  };
}

/** On a thread of its own, which ends with the stream. */
export function streamOnThread(pieces: Iterable<PlanPiece>, { size, inWork }: TarBlocks): TarStream {
  let result: { diffId: Digest; size: number } | undefined;
  let send: ((message: ToPackThread, transfer: readonly ArrayBuffer[]) => void) | undefined;

  async function* blocks(): AsyncGenerator<Uint8Array> {
    boundYoungGeneration();
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(entryUrl(import.meta.url, './pack-thread.ts'));
    const plan = pieces[Symbol.iterator]();
    const arrived: Uint8Array[] = [];
    let failure: Error | undefined;
    let wake: (() => void) | undefined;
    const post = (message: ToPackThread, transfer: readonly ArrayBuffer[] = []): void =>
      worker.postMessage(message, [...transfer]);
    const nextPiece = (): void => {
      const next = plan.next();
      if (next.done === true) post({ kind: 'end' });
      else post({ kind: 'piece', piece: next.value }, [next.value.headers.buffer as ArrayBuffer]);
    };
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
      }
      wake?.();
    };
    worker.on('message', (message: FromPackThread) =>
      guarded(() => {
        if (message.kind === 'ready') nextPiece();
        else if (message.kind === 'block') arrived.push(message.bytes);
        else if (message.kind === 'done') result = message;
        else failure = new BuildError(message.error);
      }),
    );
    worker.on('error', (error: Error) => {
      failure ??= error;
      wake?.();
    });
    worker.on('exit', () => {
      if (result === undefined) failure ??= new BuildError({ code: 'internal', message: 'the packing thread ended' });
      wake?.();
    });
    send = post;
    try {
      for (let i = 0; i < inWork + BLOCKS_AHEAD; i++) post({ kind: 'block', bytes: new Uint8Array(size) });
      guarded(() => {
        for (let i = 0; i < PIECES_AHEAD; i++) nextPiece();
      });
      for (;;) {
        const block = arrived.shift();
        if (block !== undefined) yield block;
        else if (failure !== undefined) throw failure;
        else if (result !== undefined) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      send = undefined;
      await worker.terminate();
    }
  }

  return {
    blocks: blocks(),
    release(block) {
      if (block.length === size) send?.({ kind: 'block', bytes: block }, [block.buffer as ArrayBuffer]);
    },
    result() {
      if (result === undefined) throw new BuildError({ code: 'internal', message: 'the tar is not complete' });
      return result;
    },
  };
}
