/** Thread entry: reads and writes directories of layers, one job at a time (`threads.ts`). */
import { parentPort } from 'node:worker_threads';
import { asBuildError } from '../../sys/errno.ts';
import { materializeNow } from './materialize.ts';
import { saveNow } from './save-tree.ts';
import type { Job, ThreadAnswer, ThreadRequest } from './threads.ts';

let running = new AbortController();

parentPort?.on('message', (request: ThreadRequest) => {
  if (request.kind === 'cancel') running.abort();
  else void answer(request);
});

async function answer(job: Job): Promise<void> {
  running = new AbortController();
  let result: ThreadAnswer = { value: 0 };
  try {
    if (job.kind === 'scan') result = { value: saveNow(job.input) };
    else await materializeNow(job.input, running.signal);
  } catch (error) {
    // The cause stays here: it need not be cloneable.
    result = { error: { ...asBuildError(error).toInit(), cause: undefined } };
  }
  parentPort?.postMessage(result);
}
