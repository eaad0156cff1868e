import { readFileSync } from 'node:fs';

/**
 * How many processes the kernel has killed for lack of memory since it started (proc_vmstat(5)). A step that dies by
 * SIGKILL while the number grows was one of them, as far as can be told without a cgroup of its own.
 */
export function oomKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
