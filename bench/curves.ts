import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles, writeSourceTree } from './files.ts';
import { runCommands } from './process.ts';
import { elapsed } from './runner.ts';
import type { BuildRequest, Place, Tool } from './types.ts';
import { largeStep } from './workloads/w05-export.ts';

/** How Slipway's time and memory grow with what is built. */
export interface Curve {
  /** Name of the plot's file. */
  readonly id: string;
  readonly title: string;
  /** Of `x`. */
  readonly unit: string;
  readonly series: readonly { readonly name: string; readonly points: readonly Point[] }[];
}

export interface Point {
  readonly x: number;
  readonly seconds: number;
  readonly peakBytes?: number | undefined;
  readonly peakResidentBytes?: number | undefined;
}

/** What all curves take together, at most. */
export const CURVES_SECONDS = 240;

interface Options {
  readonly log: (line: string) => void;
  /** Seconds since the bench began after which no point is begun. */
  readonly until: number;
}

export async function measureCurves(place: Place, options: Options): Promise<readonly Curve[]> {
  const tool = place.tools.find(({ id }) => id === 'slipway');
  if (tool === undefined) return [];
  const curves: Curve[] = [];
  for (const measure of [stages, parallel, layers, files]) {
    await tool.prune();
    curves.push(await measure(place, tool, options));
  }
  return curves;
}

/** A build that is timed, and watched: one run, as these are many. */
async function point(tool: Tool, request: BuildRequest, x: number, name: string, { log }: Options): Promise<Point> {
  const { seconds, memory } = await runCommands(tool.build(request), { memory: true });
  log(`  ${name} ${x}: ${seconds.toFixed(2)} s, ${Math.round((memory?.peakBytes ?? 0) / 2 ** 20)} MiB`);
  return { x, seconds, ...memory };
}

const NONE = { kind: 'none' } as const;

async function files(place: Place, tool: Tool, options: Options): Promise<Curve> {
  const context = join(place.dir, 'curve-files');
  const dockerfile = writeFiles(place.dir, { 'curve-files.Dockerfile': 'FROM scratch\nCOPY . /all/\n' });
  const request = { context, dockerfile: join(dockerfile, 'curve-files.Dockerfile'), output: NONE };
  const cold: Point[] = [];
  const same: Point[] = [];
  let written = 0;
  mkdirSync(context);
  for (const count of place.small ? [1000, 10_000] : [1000, 10_000, 100_000, 500_000]) {
    // Half a million files take as long to write as to build.
    if (elapsed() > options.until - (count > 100_000 ? 90 : 10)) break;
    const part = join(context, `p${count}`);
    mkdirSync(part);
    writeSourceTree(part, { files: count - written, meanBytes: 256 });
    written = count;
    await tool.prune();
    cold.push(await point(tool, request, count, 'files, cold', options));
    same.push(await point(tool, request, count, 'files, unchanged', options));
  }
  rmSync(context, { recursive: true, force: true });
  const series = [
    { name: 'COPY . ., cold', points: cold },
    { name: 'nothing changed', points: same },
  ];
  return { id: 'files', title: 'Files in the context', unit: 'files', series };
}

async function stages(place: Place, tool: Tool, options: Options): Promise<Curve> {
  const context = join(place.dir, 'curve-stages');
  const cold: Point[] = [];
  const same: Point[] = [];
  for (const count of place.small ? [1, 10, 100] : [1, 10, 100, 300, 1000]) {
    if (elapsed() > options.until) break;
    const lines = Array.from({ length: count }, (_, i) => `FROM s${i} AS s${i + 1}\nCOPY file /file-${count}-${i}`);
    writeFiles(context, { file: 'file\n', Dockerfile: [`FROM ${place.baseImage} AS s0`, ...lines, ''].join('\n') });
    await place.run(tool, { context, dockerfile: undefined, output: NONE }).then(() => tool.prune());
    const request = { context, output: NONE };
    cold.push(await point(tool, request, count, 'stages, cold', options));
    same.push(await point(tool, request, count, 'stages, unchanged', options));
  }
  const series = [
    { name: 'FROM before + COPY, cold', points: cold },
    { name: 'nothing changed', points: same },
  ];
  return { id: 'stages', title: 'Stages, each FROM the one before', unit: 'stages', series };
}

async function layers(place: Place, tool: Tool, options: Options): Promise<Curve> {
  const points: Point[] = [];
  const dest = join(place.dir, 'curve.tar');
  for (const parts of place.small ? [2, 8] : [2, 8, 32, 128]) {
    if (elapsed() > options.until) break;
    const context = largeStep(place, `curve-layer-${parts}`, parts);
    const request = { context, output: { kind: 'oci', dest, compression: 'zstd' } } as const;
    points.push(await point(tool, request, parts * 16, 'megabytes', options));
    await tool.prune();
  }
  rmSync(dest, { force: true });
  return {
    id: 'layers',
    title: 'A layer made by RUN, exported with zstd',
    unit: 'MiB',
    series: [{ name: 'RUN and export', points }],
  };
}

/** Several processes with one state directory, each with a build of its own. */
async function parallel(place: Place, tool: Tool, options: Options): Promise<Curve> {
  const points: Point[] = [];
  for (const count of [1, 2, 4, 8]) {
    if (elapsed() > options.until) break;
    const contexts = Array.from({ length: count }, (_, i) =>
      writeFiles(join(place.dir, `curve-parallel-${count}-${i}`), {
        file: `${count} ${i}\n`,
        Dockerfile: [
          `FROM ${place.baseImage} AS build`,
          'COPY file /file',
          ...Array.from({ length: 8 }, (_, n) => `RUN cat /file > /${n}`),
          `FROM ${place.baseImage}`,
          'COPY --from=build /7 /file',
          '',
        ].join('\n'),
      }),
    );
    if (count === 1) await place.run(tool, { context: contexts[0]!, output: NONE });
    if (count === 1) writeFiles(contexts[0]!, { file: 'another\n' });
    const start = performance.now();
    await Promise.all(contexts.map((context) => place.run(tool, { context, output: NONE })));
    const seconds = (performance.now() - start) / 1000;
    options.log(`  builds at once ${count}: ${seconds.toFixed(2)} s`);
    points.push({ x: count, seconds });
  }
  return {
    id: 'parallel',
    title: 'Builds at once, 10 steps each, one state directory',
    unit: 'builds',
    series: [{ name: 'all of them', points }],
  };
}

/** The numbers of a curve, with what a unit takes. */
export function curveTable({ unit, series }: Curve): string {
  const lines = [`| ${unit} | | time | a unit | peak memory |`, '| --- | --- | --- | --- | --- |'];
  for (const { name, points } of series) {
    for (const { x, seconds, peakBytes } of points) {
      const each = (seconds / x) * 1000;
      lines.push(
        `| ${x} | ${name} | ${seconds.toFixed(2)} s | ${each < 1 ? `${(each * 1000).toFixed(0)} us` : `${each.toFixed(1)} ms`} | ${
          peakBytes === undefined ? '' : `${Math.round(peakBytes / 2 ** 20)} MiB`
        } |`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
