import { readFileSync, readdirSync } from 'node:fs';

/** Watches the memory of process trees. */
export interface TreeSampler {
  readonly watch: (pid: number) => void;
  stop(): void;
  peak(): PeakMemory;
}

/** Largest sums seen over the processes of the trees, bytes. */
export interface PeakMemory {
  /** Proportional set sizes: a page that several have (the program, its libraries) counts once. */
  readonly peakBytes: number;
  /** Resident set sizes: such a page counts once for each. */
  readonly peakResidentBytes: number;
}

const INTERVAL = 50; // milliseconds

/** @param daemons Their trees count as well. */
export function createTreeSampler(daemons: readonly number[]): TreeSampler {
  const roots = new Set(daemons);
  let peakBytes = 0;
  let peakResidentBytes = 0;
  const sample = () => {
    const children = childrenOf();
    const seen = new Set<number>();
    const queue = [...roots];
    let proportional = 0;
    let resident = 0;
    for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
      if (seen.has(pid)) continue;
      seen.add(pid);
      const sizes = sizesOf(pid);
      proportional += sizes.proportional;
      resident += sizes.resident;
      queue.push(...(children.get(pid) ?? []));
    }
    peakBytes = Math.max(peakBytes, proportional);
    peakResidentBytes = Math.max(peakResidentBytes, resident);
  };
  const timer = setInterval(sample, INTERVAL);
  return {
    watch: (pid) => roots.add(pid),
    stop: () => clearInterval(timer),
    peak: () => ({ peakBytes, peakResidentBytes }),
  };
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

/** The kernel's sums over all mappings; nothing of a process that has ended. */
function sizesOf(pid: number): { readonly proportional: number; readonly resident: number } {
  let rollup = '';
  try {
    rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  } catch {
    // It has ended.
  }
  const bytes = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0) * 1024;
  return { proportional: bytes('Pss'), resident: bytes('Rss') };
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
