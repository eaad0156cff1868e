import { cpus, totalmem } from 'node:os';
import { statfsSync } from 'node:fs';
import { release } from 'node:os';
import type { Curve } from './curves.ts';
import type { CaseResult, Spread, ToolResult } from './runner.ts';
import type { Tool, ToolId } from './types.ts';

/** All that a bench found; the JSON that it writes. */
export interface Report {
  readonly date: string;
  readonly machine: string;
  readonly tools: Partial<Record<ToolId, string>>;
  readonly workloads: readonly {
    readonly id: string;
    readonly title: string;
    /** When the run of the bench began that measured it. */
    readonly measured?: string | undefined;
    readonly cases: readonly CaseResult[];
  }[];
  readonly curves: readonly Curve[];
}

export function machine(dir: string): string {
  const fileSystems: Readonly<Record<number, string>> = { 0xef53: 'ext4', 0x58465342: 'xfs', 0x9123683e: 'btrfs' };
  const type = fileSystems[statfsSync(dir).type] ?? 'another file system';
  return `${cpus().length} cores (${cpus()[0]?.model ?? '?'}), ${Math.round(totalmem() / 2 ** 30)} GiB, ${type}, Linux ${release()}`;
}

export function versions(tools: readonly Tool[]): Report['tools'] {
  return Object.fromEntries(tools.map(({ id, version }) => [id, version]));
}

/** Slipway's median over the best peer's. */
export function ratio({ tools }: CaseResult): number | undefined {
  const own = tools.slipway?.seconds.median;
  const peers = [tools.buildkit, tools.buildah].map((tool) => tool?.seconds.median).filter((s) => s !== undefined);
  return own === undefined || peers.length === 0 ? undefined : own / Math.min(...peers);
}

/** Which workloads were measured together: only these were under the same conditions. */
export function runsOfBench({ date, workloads }: Pick<Report, 'date' | 'workloads'>): string {
  const runs = Map.groupBy(workloads, ({ measured }) => measured ?? date);
  if (runs.size < 2) return 'in one run';
  const parts = [...runs]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([at, group]) => `${group.map(({ id }) => id).join(', ')} (${at})`);
  return `in ${runs.size} runs: ${parts.join('; ')}`;
}

/** The table of docs/performance.md. */
export function markdown(report: Pick<Report, 'workloads' | 'tools'>): string {
  const lines = [
    '| workload | Slipway | BuildKit | buildah | Slipway / best peer | target | floor |',
    '| --- | --- | --- | --- | --- | --- | --- |',
  ];
  for (const { id, title, cases } of report.workloads) {
    for (const test of cases) {
      const { tools, floors, target, without } = test;
      const cell = (tool: ToolId) => (without?.[tool] === undefined ? toolCell(tools[tool]) : `(${without[tool]})`);
      const own = ratio(test);
      const met = own === undefined || target === undefined ? '' : own <= target ? '' : ' **missed**';
      lines.push(
        `| ${[
          `${id} ${title}: ${test.name}`,
          cell('slipway'),
          cell('buildkit'),
          cell('buildah'),
          own === undefined ? '' : `${own.toFixed(2)}${met}`,
          target === undefined ? '' : `<= ${target}`,
          floors.map(({ name, seconds }) => `${seconds.median.toPrecision(2)} s ${name}`).join('; '),
        ].join(' | ')} |`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Which images came out alike, file by file. */
export function comparisons(report: Pick<Report, 'workloads'>): string {
  const same: string[] = [];
  const other: string[] = [];
  for (const { id, cases } of report.workloads) {
    for (const { name, compared } of cases) {
      for (const [tool, different] of Object.entries(compared ?? {})) {
        if (different.length === 0) same.push(`${id} ${name} (${tool})`);
        else other.push(`${id} ${name}: ${tool} differs in ${different.join(', ')}`);
      }
    }
  }
  return [`The same files as the peer's image, with mode, owner, content and config: ${same.join('; ')}.`, ...other]
    .map((line) => `${line}\n`)
    .join('\n');
}

function toolCell(result: ToolResult | undefined): string {
  if (result === undefined) return '';
  const { seconds, cpuSeconds, peakBytes, outputBytes, traffic } = result;
  return [
    spread(seconds),
    `cpu ${cpuSeconds.median.toFixed(2)} s`,
    ...(peakBytes === undefined ? [] : [`${Math.round(peakBytes / 2 ** 20)} MiB`]),
    ...(outputBytes === undefined ? [] : [`wrote ${megabytes(outputBytes)}`]),
    ...(traffic === undefined ? [] : [`pulled ${megabytes(traffic.pulled)}, pushed ${megabytes(traffic.pushed)}`]),
  ].join('; ');
}

function spread({ median, min, max, runs }: Spread): string {
  const show = (seconds: number) => (seconds < 1 ? seconds.toFixed(3) : seconds.toFixed(2));
  return runs === 1 ? `${show(median)} s (once)` : `${show(median)} s (${show(min)}-${show(max)})`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;
}
