import { parentPort } from 'node:worker_threads';
import { hashFile } from './hash-file.ts';
import type { HashAnswer, HashRequest } from './hash-files.ts';

parentPort?.on('message', ({ paths }: HashRequest) => {
  const digests = new Uint8Array(paths.length * 32);
  const sizes = new Float64Array(paths.length);
  const failures: [number, string][] = [];
  for (const [i, path] of paths.entries()) {
    const result = hashFile(path);
    if (typeof result === 'string') {
      failures.push([i, result]);
      sizes[i] = -1;
    } else {
      digests.set(result.digest, i * 32);
      sizes[i] = result.size;
    }
  }
  const answer: HashAnswer = { digests, sizes, failures };
  parentPort?.postMessage(answer, [digests.buffer, sizes.buffer]);
});
