import { readFileSync, readdirSync } from 'node:fs';

/** Watches the memory of process trees. */
export interface TreeSampler {
  readonly watch: (pid: number) => void;
  stop(): void;
  /** Largest sum seen of the proportional set sizes (what is shared counts once), bytes. */
  peakBytes(): number;
}

const INTERVAL = 50; // milliseconds

/** @param daemons Their trees count as well. */
export function createTreeSampler(daemons: readonly number[]): TreeSampler {
  const roots = new Set(daemons);
  let peak = 0;
  const sample = () => {
    const children = childrenOf();
    const seen = new Set<number>();
    const queue = [...roots];
    let sum = 0;
    for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
      if (seen.has(pid)) continue;
      seen.add(pid);
      sum += proportionalSize(pid);
      queue.push(...(children.get(pid) ?? []));
    }
    peak = Math.max(peak, sum);
  };
  const timer = setInterval(sample, INTERVAL);
  return { watch: (pid) => roots.add(pid), stop: () => clearInterval(timer), peakBytes: () => peak };
}

/** Parents of all processes, from the fourth field of /proc/PID/stat. */
function childrenOf(): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      const list = children.get(parent);
      if (list === undefined) children.set(parent, [Number(name)]);
      else list.push(Number(name));
    } catch {
      // It has ended.
    }
  }
  return children;
}

function proportionalSize(pid: number): number {
  try {
    const kilobytes = /^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Processes by the name of their program. */
export function processesNamed(names: ReadonlySet<string>): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return names.has(readFileSync(`/proc/${pid}/comm`, 'latin1').trim());
      } catch {
        return false;
      }
    })
    .map(Number);
}
