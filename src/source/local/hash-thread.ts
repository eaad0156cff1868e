import { parentPort } from 'node:worker_threads';
import { hashFiles } from './hash-file.ts';
import type { ThreadAnswer, ThreadRequest } from './thread-pool.ts';

parentPort?.on('message', ({ id, request }: ThreadRequest) => {
  const answer = hashFiles(request);
  parentPort?.postMessage({ id, answer } satisfies ThreadAnswer, [answer.digests.buffer, answer.sizes.buffer]);
});
