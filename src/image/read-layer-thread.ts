/** Reads the compressed blob of a layer, away from the main thread (`read-blob.ts` has the other end). */
import { parentPort } from 'node:worker_threads';
import { asBuildError } from '../sys/errno.ts';
import { encodeTree } from '../store/index.ts';
import { decompress } from './decompress.ts';
import { readLayer } from './layer-tree.ts';
import type { FromReadThread, ToReadThread } from './read-blob.ts';

const port = parentPort;
if (port !== null) {
  const post = (message: FromReadThread, transfer: readonly ArrayBuffer[] = []): void =>
    port.postMessage(message, [...transfer]);
  const chunks: Extract<ToReadThread, { kind: 'chunk' }>[] = [];
  let ended = false;
  let wake: (() => void) | undefined;
  let name = '';

  async function* source(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        const { bytes, length } = chunk;
        yield bytes.subarray(0, length);
        post({ kind: 'taken', bytes }, [bytes.buffer]);
      } else if (ended) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  const run = async (): Promise<void> => {
    const { tree, diffId, contentSize } = await readLayer(decompress(source(), { name }), { name });
    const encoded = Uint8Array.from(encodeTree(tree));
    post({ kind: 'done', tree: encoded, diffId, contentSize }, [encoded.buffer]);
  };

  port.on('message', (message: ToReadThread) => {
    if (message.kind === 'start') {
      ({ name } = message);
      run().catch((error: unknown) => {
        const { code, message: text, hint, detail } = asBuildError(error).toInit();
        post({ kind: 'error', error: { code, message: text, hint, detail } });
      });
      return;
    }
    if (message.kind === 'chunk') chunks.push(message);
    else ended = true;
    wake?.();
  });
}
