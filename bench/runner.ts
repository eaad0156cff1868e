import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { differences, imageContents, type Contents } from './content.ts';
import { runCommands, type Timed } from './process.ts';
import { startCountingProxy } from './registry.ts';
import type { Case, Place, Tool, ToolId } from './types.ts';

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
  /** What differs between the images of Slipway and another; empty = the same files. */
  readonly compared?: Partial<Record<ToolId, readonly string[]>> | undefined;
}

export interface RunnerOptions {
  /** Timed runs at most. */
  readonly maxRuns: number;
  readonly memory: boolean;
  readonly traffic: boolean;
  readonly compare: boolean;
  readonly floors: boolean;
  /** Seconds since the start after which tools run once, after which buildah is left out, after which all is. */
  readonly hurry: { readonly once: number; readonly withoutBuildah: number; readonly stop: number };
  readonly log: (line: string) => void;
}

let nextRun = 1;

/** Seconds that the timed runs of one case may take, for each tool: who is slow runs less often, once at least. */
const BUDGET: Readonly<Record<ToolId, number>> = { slipway: 30, buildkit: 30, buildah: 12 };
/** Seconds of a run of a peer from which its memory is taken in the last timed run, not in one more. */
const SLOW = 4;

/** Seconds since the bench began. */
export const elapsed = (): number => performance.now() / 1000;

/** Measures one case: tools in turn, each time from the same state. */
export async function runCase(place: Place, test: Case, options: RunnerOptions): Promise<CaseResult> {
  const noBuildah = elapsed() > options.hurry.withoutBuildah;
  const tools = place.tools.filter(
    ({ id }) => test.without?.[id] === undefined && !(noBuildah && id === 'buildah' && place.tools.length > 2),
  );
  const runs = elapsed() > options.hurry.once ? 1 : Math.min(test.runs, options.maxRuns);
  const times = new Map<Tool, Timed[]>(tools.map((tool) => [tool, []]));
  const sizes = new Map<Tool, number>();
  const archives = new Map<Tool, string>();

  const once = async (tool: Tool, memory = false) => {
    const run = nextRun++;
    await test.before?.(tool, run);
    const result = await runCommands(tool.build(test.request(tool, run)), { daemons: tool.daemons(), memory });
    if (test.sizeOf !== undefined) sizes.set(tool, statSync(test.sizeOf(tool)).size);
    return result;
  };
  /** Keeps the archive that a tool has written last, to be compared. */
  const keep = (tool: Tool) => {
    const { output } = test.request(tool, 0);
    if (test.compare === undefined || !options.compare || output.kind !== 'oci' || archives.has(tool)) return;
    const kept = join(place.dir, `kept-${tool.id}.tar`);
    renameSync(output.dest, kept);
    archives.set(tool, kept);
  };
  const runsOf = (tool: Tool): number => {
    const [first] = times.get(tool) ?? [];
    return first === undefined ? 1 : Math.max(1, Math.min(runs, Math.floor(BUDGET[tool.id] / first.seconds)));
  };

  if (test.warm === true) for (const tool of tools) await once(tool);
  for (let round = 0; round < runs; round++) {
    for (const tool of rotated(tools, round)) {
      const known = times.get(tool) ?? [];
      if (known.length >= runsOf(tool)) continue;
      const isLast = known.length + 1 === runsOf(tool);
      const isSlow = (known[0]?.seconds ?? (runs === 1 || test.slow === true ? SLOW : 0)) >= SLOW;
      const slow = tool.id === 'buildah' || (isSlow && (tool.id !== 'slipway' || test.runs === 1));
      const timed = await once(tool, options.memory && isLast && slow);
      if (isLast) keep(tool);
      known.push(timed);
      options.log(`  ${test.name}: ${tool.id} ${timed.seconds.toFixed(3)} s, cpu ${timed.cpuSeconds.toFixed(2)} s`);
    }
  }

  const results: Partial<Record<ToolId, ToolResult>> = {};
  for (const tool of tools) {
    const timed = times.get(tool) ?? [];
    const seen = timed.findLast(({ memory }) => memory !== undefined)?.memory;
    const memory = seen ?? (options.memory ? (await once(tool, true)).memory : undefined);
    const traffic = options.traffic && tool.id !== 'buildah' ? await countTraffic(place, test, tool) : undefined;
    results[tool.id] = {
      seconds: spreadOf(timed.map(({ seconds }) => seconds)),
      cpuSeconds: spreadOf(timed.map(({ cpuSeconds }) => cpuSeconds)),
      ...memory,
      outputBytes: sizes.get(tool),
      traffic,
    };
  }
  const floors: { name: string; seconds: Spread }[] = [];
  for (const { name, script } of options.floors ? (test.floors ?? []) : []) {
    const seconds: number[] = [];
    for (let round = 0; round < Math.min(runs, 3); round++) {
      const timed = await runCommands([{ argv: ['/bin/sh', '-c', script], cwd: place.dir }]).catch(() => undefined);
      if (timed !== undefined) seconds.push(timed.seconds);
    }
    if (seconds.length > 0) floors.push({ name, seconds: spreadOf(seconds) });
  }
  const compared = options.compare ? await compareImages(place, test, tools, archives) : undefined;
  return { name: test.name, target: test.target, tools: results, without: test.without, floors, compared };
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

async function compareImages(
  place: Place,
  test: Case,
  tools: readonly Tool[],
  archives: ReadonlyMap<Tool, string>,
): Promise<CaseResult['compared']> {
  if (test.compare === undefined) return undefined;
  const contents = new Map<ToolId, Contents>();
  for (const tool of tools) {
    const archive = archives.get(tool) ?? join(place.dir, `compare-${tool.id}.tar`);
    if (!archives.has(tool)) {
      const request = test.compare(tool);
      await runCommands(tool.build({ ...request, output: { kind: 'oci', dest: archive, compression: 'gzip' } }));
    }
    contents.set(tool.id, await imageContents(archive, place.dir));
    rmSync(archive, { force: true });
  }
  const own = contents.get('slipway');
  if (own === undefined) return undefined;
  const compared: Partial<Record<ToolId, readonly string[]>> = {};
  for (const [id, theirs] of contents)
    if (id !== 'slipway') {
      // The number of a run is another for each tool.
      compared[id] = differences(own, theirs)
        .filter((path) => path !== 'nonce')
        .slice(0, 20);
    }
  return compared;
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
