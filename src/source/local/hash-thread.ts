import { parentPort } from 'node:worker_threads';
import { hashFiles } from './hash-file.ts';
import { scanDirectories } from './scan-directories.ts';
import type { ThreadAnswer, ThreadRequest } from './thread-pool.ts';

parentPort?.on('message', ({ id, request }: ThreadRequest) => {
  if (request.kind === 'hash') {
    const answer = hashFiles(request);
    const buffers = [answer.digests.buffer, answer.sizes.buffer];
    parentPort?.postMessage({ id, answer } satisfies ThreadAnswer, buffers);
    return;
  }
  try {
    const answer = scanDirectories(request);
    parentPort?.postMessage({ id, answer } satisfies ThreadAnswer, [answer.stats.buffer]);
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    parentPort?.postMessage({ id, answer: { failure } } satisfies ThreadAnswer);
  }
});
