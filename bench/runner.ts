import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compareImages, type Compared } from './compare.ts';
import { runCommands, type Timed } from './process.ts';
import { startCountingProxy } from './registry.ts';
import type { Case, Floor, Place, Tool, ToolId } from './types.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

export interface ToolResult {
  readonly seconds: Spread;
  readonly cpuSeconds: Spread;
  /** What is shared counted once; `peakResidentBytes` counts it for each process. */
  readonly peakBytes?: number | undefined;
  readonly peakResidentBytes?: number | undefined;
  /** Of the file that it wrote. */
  readonly outputBytes?: number | undefined;
  readonly traffic?: { readonly pulled: number; readonly pushed: number } | undefined;
}

export interface CaseResult {
  readonly name: string;
  readonly target?: number | undefined;
  readonly tools: Partial<Record<ToolId, ToolResult>>;
  readonly without?: Partial<Readonly<Record<ToolId, string>>> | undefined;
  readonly floors: readonly { readonly name: string; readonly seconds: Spread }[];
  readonly compared?: Compared | undefined;
}

export interface RunnerOptions {
  /** Timed runs at most. */
  readonly maxRuns: number;
  readonly memory: boolean;
  readonly traffic: boolean;
  readonly compare: boolean;
  readonly floors: boolean;
  /** Seconds since the start after which tools run `LEAST_RUNS` times, after which once, after which all is left out. */
  readonly hurry: { readonly least: number; readonly once: number; readonly stop: number };
  readonly log: (line: string) => void;
}

let nextRun = 1;

/** Seconds that the timed runs of one tool in one case may take beyond the least: who is slow runs less often. */
const BUDGET = 20;
/** Timed runs that a median needs. */
const LEAST_RUNS = 3;
/**
 * Seconds of a run from which its memory is taken in the last timed one, not in one more; and from which buildah, which
 * is not the peer to beat then, runs once.
 */
const SLOW = 8;

/** Seconds since the bench began. */
export const elapsed = (): number => performance.now() / 1000;

/** Timed runs of a tool whose first took so long. */
export function runsOf(tool: ToolId, firstSeconds: number, most: number): number {
  if (tool === 'buildah' && firstSeconds >= SLOW) return 1;
  return Math.min(most, Math.max(LEAST_RUNS, Math.floor(BUDGET / firstSeconds)));
}

/** Measures one case: tools in turn, each time from the same state. A tool that fails is left out of it, and said. */
export async function runCase(place: Place, test: Case, options: RunnerOptions): Promise<CaseResult> {
  const without = { ...test.without };
  const tools = () => place.tools.filter(({ id }) => without[id] === undefined);
  const patience = elapsed() > options.hurry.once ? 1 : elapsed() > options.hurry.least ? LEAST_RUNS : Infinity;
  const most = Math.min(test.runs, options.maxRuns, patience);
  const times = new Map<Tool, Timed[]>();
  const warmed = new Map<Tool, number>();
  const sizes = new Map<Tool, number>();
  const archives = new Map<Tool, string>();

  const once = async (tool: Tool, memory = false) => {
    const run = nextRun++;
    await test.before?.(tool, run);
    const result = await runCommands(tool.build(test.request(tool, run)), { daemons: tool.daemons(), memory });
    if (test.sizeOf !== undefined) sizes.set(tool, statSync(test.sizeOf(tool)).size);
    return result;
  };
  const attempt = async (tool: Tool, step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      if (tool.id === 'slipway') throw error;
      options.log(`  ${test.name}: ${tool.id} FAILED: ${error instanceof Error ? error.message : String(error)}`);
      without[tool.id] = 'failed';
    }
  };
  /** Keeps the archive that a tool has written last, to be compared. */
  const keep = (tool: Tool) => {
    const { output } = test.request(tool, 0);
    if (test.compare === undefined || !options.compare || output.kind !== 'oci' || archives.has(tool)) return;
    const kept = join(place.dir, `kept-${tool.id}.tar`);
    renameSync(output.dest, kept);
    archives.set(tool, kept);
  };
  const timedRun = async (tool: Tool, known: Timed[]): Promise<void> => {
    const expected = known[0]?.seconds ?? Math.max(warmed.get(tool) ?? 0, test.slow === true ? SLOW : 0);
    const isLast = known.length + 1 === runsOf(tool.id, expected, most);
    const timed = await once(tool, options.memory && isLast && expected >= SLOW);
    if (isLast) keep(tool);
    known.push(timed);
    options.log(`  ${test.name}: ${tool.id} ${timed.seconds.toFixed(3)} s, cpu ${timed.cpuSeconds.toFixed(2)} s`);
  };

  if (test.warm === true) {
    for (const tool of tools()) await attempt(tool, async () => void warmed.set(tool, (await once(tool)).seconds));
  }
  for (let round = 0; round < most; round++) {
    for (const tool of rotated(tools(), round)) {
      const known = times.get(tool) ?? [];
      times.set(tool, known);
      if (known[0] !== undefined && known.length >= runsOf(tool.id, known[0].seconds, most)) continue;
      await attempt(tool, () => timedRun(tool, known));
    }
  }

  const results: Partial<Record<ToolId, ToolResult>> = {};
  for (const tool of tools()) {
    await attempt(tool, async () => {
      const timed = times.get(tool) ?? [];
      const seen = timed.findLast(({ memory }) => memory !== undefined)?.memory;
      const memory = seen ?? (options.memory ? (await once(tool, true)).memory : undefined);
      const traffic = options.traffic ? await countTraffic(place, test, tool) : undefined;
      results[tool.id] = {
        seconds: spreadOf(timed.map(({ seconds }) => seconds)),
        cpuSeconds: spreadOf(timed.map(({ cpuSeconds }) => cpuSeconds)),
        ...memory,
        outputBytes: sizes.get(tool),
        traffic,
      };
    });
  }
  const floors: { name: string; seconds: Spread }[] = [];
  for (const floor of options.floors ? (test.floors ?? []) : []) {
    const seconds = await timeFloor(place, floor, Math.min(most, LEAST_RUNS)).catch((error: unknown) => {
      options.log(`  ${test.name}: ${floor.name} FAILED: ${error instanceof Error ? error.message : String(error)}`);
    });
    if (seconds !== undefined) floors.push({ name: floor.name, seconds });
  }
  const compared = options.compare
    ? await compareImages(place, test, tools(), archives).catch((error: unknown) => {
        options.log(`  ${test.name}: comparing FAILED: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      })
    : undefined;
  return { name: test.name, target: test.target, tools: results, without, floors, compared };
}

async function timeFloor(place: Place, { script, makes }: Floor, most: number): Promise<Spread> {
  const seconds: number[] = [];
  while (seconds.length < (seconds.some((s) => s >= SLOW) ? 1 : most)) {
    const timed = await runCommands([{ argv: ['bash', '-o', 'pipefail', '-e', '-c', script], cwd: place.dir }]);
    if (makes !== undefined) rmSync(join(place.dir, makes), { recursive: true, force: true });
    seconds.push(timed.seconds);
  }
  return spreadOf(seconds);
}

async function countTraffic(place: Place, test: Case, tool: Tool) {
  if (test.traffic === undefined) return undefined;
  const proxy = await startCountingProxy(place.registry);
  try {
    const run = nextRun++;
    await test.before?.(tool, run);
    await runCommands(tool.build(test.traffic(tool, proxy.host, run)));
    return proxy.take();
  } finally {
    proxy.stop();
  }
}

/** Who comes first changes from round to round. */
function rotated<T>(list: readonly T[], by: number): readonly T[] {
  return list.map((_, i) => list[(i + by) % list.length]!);
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted[sorted.length - 1]!, runs: sorted.length };
}
