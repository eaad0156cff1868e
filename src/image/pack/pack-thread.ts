/** Reads files and makes a tar of them, away from the main thread (`tar-stream.ts` has the other end). */
import { parentPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { asBuildError } from '../../sys/errno.ts';
import { TarAssembler } from './assemble.ts';
import type { FromPackThread, ToPackThread } from './messages.ts';
import type { PlanPiece } from './plan.ts';

/** What came and was not asked for yet, and who waits for more. */
class Inbox<T> {
  readonly #items: T[] = [];
  #waiting: ((item: T) => void) | undefined;

  put(item: T): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#items.push(item);
    else waiting(item);
  }

  take(): T | Promise<T> {
    const item = this.#items.shift();
    return item ?? new Promise((resolve) => (this.#waiting = resolve));
  }
}

async function run(port: MessagePort): Promise<void> {
  const blocks = new Inbox<Uint8Array>();
  const pieces = new Inbox<PlanPiece | 'end'>();
  port.on('message', (message: ToPackThread) => {
    if (message.kind === 'block') blocks.put(message.bytes);
    else pieces.put(message.kind === 'piece' ? message.piece : 'end');
  });
  const post = (message: FromPackThread, transfer: readonly ArrayBuffer[] = []): void =>
    port.postMessage(message, [...transfer]);

  const assembler = new TarAssembler(await blocks.take());
  const handOut = async (full: Iterable<Uint8Array>): Promise<void> => {
    for (const bytes of full) {
      post({ kind: 'block', bytes }, [bytes.buffer as ArrayBuffer]);
      assembler.refill(await blocks.take());
    }
  };
  for (let piece = await pieces.take(); piece !== 'end'; piece = await pieces.take()) {
    await handOut(assembler.add(piece));
    post({ kind: 'ready' });
  }
  for (const bytes of assembler.end()) {
    post({ kind: 'block', bytes }, [bytes.buffer as ArrayBuffer]);
    assembler.refill(new Uint8Array(2048));
  }
  post({ kind: 'done', diffId: assembler.diffId(), size: assembler.size });
}

if (parentPort !== null) {
  const port = parentPort;
  run(port).catch((error: unknown) => {
    const { code, message, hint, detail } = asBuildError(error).toInit();
    const answer: FromPackThread = { kind: 'error', error: { code, message, hint, detail } };
    port.postMessage(answer);
  });
}
