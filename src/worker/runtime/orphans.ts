/**
 * Pid 1 inherits the orphans of its namespace: what a killed runtime had just started. Node waits only for children that
 * it started, and only runtimes are started here: any other child is an orphan, to be ended and waited for.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { reapChild } from '../../sys/wait.ts';

/** @param runtimes Pids of the runtimes that are running. */
export function endOrphans(runtimes: ReadonlySet<number>): void {
  if (process.pid !== 1) return;
  for (const pid of childrenOf('self')) {
    if (runtimes.has(pid)) continue;
    killQuietly(pid);
    reapChild(pid);
  }
}

/** Children of all threads of a process; none where the kernel does not tell (CONFIG_PROC_CHILDREN). */
export function childrenOf(process: number | 'self'): readonly number[] {
  const pids: number[] = [];
  try {
    for (const thread of readdirSync(`/proc/${process}/task`)) {
      const text = readFileSync(`/proc/${process}/task/${thread}/children`, 'utf8').trim();
      if (text !== '') pids.push(...text.split(' ').map(Number));
    }
  } catch {
    // It has ended.
  }
  return pids;
}

export function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in this moment.
  }
}
