/**
 * Runs jobs, `width` of them at once. The first failure ends it: no further job is begun, those under way are waited for,
 * and it is thrown.
 */
export async function inParallel(jobs: readonly (() => Promise<void>)[], width: number): Promise<void> {
  const queue = [...jobs];
  let failed = false;
  const work = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined && !failed; job = queue.shift()) {
      try {
        await job();
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: width }, work));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
