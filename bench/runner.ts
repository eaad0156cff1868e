import { statSync } from 'node:fs';
import { join } from 'node:path';
import { differences, imageContents, type Contents } from './content.ts';
import { runCommands } from './process.ts';
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
  readonly peakBytes?: number | undefined;
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
  readonly log: (line: string) => void;
}

let nextRun = 1;

/** Measures one case: tools in turn, each time from the same state. */
export async function runCase(place: Place, test: Case, options: RunnerOptions): Promise<CaseResult> {
  const tools = place.tools.filter(({ id }) => test.without?.[id] === undefined);
  const runs = Math.min(test.runs, options.maxRuns);
  const times = new Map<Tool, { seconds: number; cpuSeconds: number }[]>(tools.map((tool) => [tool, []]));
  const sizes = new Map<Tool, number>();

  const once = async (tool: Tool, memory = false) => {
    const run = nextRun++;
    await test.before?.(tool, run);
    const result = await runCommands(tool.build(test.request(tool, run)), { daemons: tool.daemons(), memory });
    if (test.sizeOf !== undefined) sizes.set(tool, statSync(test.sizeOf(tool)).size);
    return result;
  };

  if (test.warm === true) for (const tool of tools) await once(tool);
  for (let round = 0; round < runs; round++) {
    for (const tool of rotated(tools, round)) {
      const timed = await once(tool);
      times.get(tool)?.push(timed);
      options.log(`  ${test.name}: ${tool.id} ${timed.seconds.toFixed(3)} s, cpu ${timed.cpuSeconds.toFixed(2)} s`);
    }
  }

  const results: Partial<Record<ToolId, ToolResult>> = {};
  for (const tool of tools) {
    const peakBytes = options.memory ? (await once(tool, true)).peakBytes : undefined;
    const traffic = options.traffic ? await countTraffic(place, test, tool) : undefined;
    const timed = times.get(tool) ?? [];
    results[tool.id] = {
      seconds: spreadOf(timed.map(({ seconds }) => seconds)),
      cpuSeconds: spreadOf(timed.map(({ cpuSeconds }) => cpuSeconds)),
      peakBytes,
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
  const compared = options.compare ? await compareImages(place, test, tools) : undefined;
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

async function compareImages(place: Place, test: Case, tools: readonly Tool[]): Promise<CaseResult['compared']> {
  if (test.compare === undefined) return undefined;
  const contents = new Map<ToolId, Contents>();
  for (const tool of tools) {
    const archive = join(place.dir, `compare-${tool.id}.tar`);
    const request = test.compare(tool);
    await runCommands(tool.build({ ...request, output: { kind: 'oci', dest: archive, compression: 'gzip' } }));
    contents.set(tool.id, await imageContents(archive, place.dir));
  }
  const own = contents.get('slipway');
  if (own === undefined) return undefined;
  const compared: Partial<Record<ToolId, readonly string[]>> = {};
  for (const [id, theirs] of contents) if (id !== 'slipway') compared[id] = differences(own, theirs).slice(0, 20);
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
