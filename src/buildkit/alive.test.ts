import { expect, it } from 'vitest';
import { watchAlive } from './alive.ts';
import { GrpcError, STATUS } from './grpc/status.ts';

const late = new GrpcError(STATUS.deadlineExceeded, 'no answer');
const refused = new GrpcError(STATUS.unimplemented, 'no such method');

/** Watches a daemon that answers so, one answer a question; how many questions were asked when it counted as lost. */
async function asked(answers: readonly (GrpcError | 'answer')[]): Promise<number | 'alive'> {
  const end = new AbortController();
  let count = 0;
  const watching = watchAlive(
    async () => {
      const answer = answers[count++];
      if (answer === undefined) end.abort();
      if (answer instanceof GrpcError) throw answer;
      await Promise.resolve();
    },
    { interval: 1, misses: 3, signal: end.signal },
  );
  const ended = new Promise<'alive'>((resolve) => end.signal.addEventListener('abort', () => resolve('alive')));
  return await Promise.race([
    ended,
    watching.catch((error: unknown) => {
      expect(error).toMatchObject({ code: STATUS.unavailable });
      return count;
    }),
  ]);
}

it('a daemon is lost when it has not answered three times in a row', async () => {
  expect(await asked([late, late, late])).toBe(3);
  expect(await asked(['answer', late, late, 'answer', late, late, late])).toBe(7);
});

it('a refusal is a sign of life', async () => {
  expect(await asked([late, late, refused, late, late, 'answer', refused, refused, refused])).toBe('alive');
});
