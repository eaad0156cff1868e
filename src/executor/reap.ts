/**
 * Pid 1 inherits the orphans of its namespace: what a killed runtime leaves. Node only waits for the children that it
 * started, so others are ended and waited for here, once no step is running that could be starting something.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { reapChild } from '../sys/wait.ts';

/** @param idle Nothing of ours runs: every child that is left is an orphan. */
export function reapOrphans(idle: boolean): void {
  if (!idle || process.pid !== 1) return;
  for (const pid of childrenOfSelf()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone already; what is left of it is reaped below.
    }
    reapChild(pid);
  }
}

function childrenOfSelf(): readonly number[] {
  const pids: number[] = [];
  try {
    for (const thread of readdirSync('/proc/self/task')) {
      const text = readFileSync(`/proc/self/task/${thread}/children`, 'utf8').trim();
      if (text !== '') pids.push(...text.split(' ').map(Number));
    }
  } catch {
    // A kernel without CONFIG_PROC_CHILDREN: zombies stay until we end.
  }
  return pids;
}
