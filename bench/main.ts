/**
 * Times Slipway against the builders that people use, on the workloads of `workloads/`. See README.md.
 *
 *     npm run bench                  a subset, about two minutes
 *     npm run bench -- --all         everything; writes docs/performance.md and bench/results.json
 *     npm run bench -- --only W2,W7 --tools slipway,buildkit --runs 3
 *     npm run bench -- --only W9,W10 --into bench/results.json
 *     npm run bench -- --merge part.json --into bench/results.json
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CURVES_SECONDS, measureCurves, type Curve } from './curves.ts';
import { merge } from './merge.ts';
import { writePage } from './page.ts';
import { openPlace } from './place.ts';
import { machine, markdown, ratio, versions, type Report } from './report.ts';
import { elapsed, runCase, type CaseResult, type RunnerOptions } from './runner.ts';
import type { ToolId } from './types.ts';
import { WORKLOADS } from './workloads/index.ts';

const { values: flags } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    only: { type: 'string' },
    tools: { type: 'string' },
    runs: { type: 'string' },
    small: { type: 'boolean', default: false },
    memory: { type: 'boolean' },
    compare: { type: 'boolean' },
    json: { type: 'string' },
    into: { type: 'string' },
    merge: { type: 'string' },
    curves: { type: 'boolean' },
    minutes: { type: 'string' },
  },
});
const RESULTS = fileURLToPath(new URL('./results.json', import.meta.url));
/** To the minute: enough to tell two runs of the bench apart. */
const began = new Date().toISOString().slice(0, 16);
const read = (file: string): Report => JSON.parse(readFileSync(file, 'utf8')) as Report;
/** results.json and the page made from it belong together. */
const write = (file: string, report: Report): void => {
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  if (resolve(file) === RESULTS) writePage(report);
};

if (flags.merge !== undefined) {
  const into = flags.into ?? RESULTS;
  write(into, flags.merge.split(',').map(read).reduce(merge, read(into)));
  process.exit(0);
}

/** In which everything runs three times at least on the machine of the table. */
const DEFAULT_MINUTES = 45;
const OVERTIME_SECONDS = 300;

const chosen = flags.only?.toUpperCase().split(',');
/** As for the page: with all tools, memory and comparing. */
const full = flags.all || flags.into !== undefined;
const workloads = WORKLOADS.filter(({ id, short }) => (chosen === undefined ? full || short : chosen.includes(id)));
const toolIds = (flags.tools?.split(',') ??
  (full ? ['slipway', 'buildkit', 'buildah'] : ['slipway', 'buildkit'])) as ToolId[];
const log = (line: string) => void process.stderr.write(`${line}\n`);
/** Of all; the curves need some at the end. */
const minutes = Number(flags.minutes ?? DEFAULT_MINUTES);
const withCurves = flags.curves ?? (flags.all && chosen === undefined);
const limit = minutes * 60 - (withCurves ? CURVES_SECONDS : 0);
const options: RunnerOptions = {
  // Who has taken longer than it should ends soon, with all in the table.
  hurry: { least: limit * 0.5, once: limit, stop: limit + OVERTIME_SECONDS },
  maxRuns: Number(flags.runs ?? (full || chosen !== undefined ? 100 : 3)),
  memory: flags.memory ?? full,
  traffic: true,
  compare: flags.compare ?? full,
  floors: true,
  log,
};

const place = await openPlace({ tools: toolIds, small: flags.small });
// Gigabytes would stay.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void place.close().finally(() => process.exit(1)));
}
const results: { id: string; title: string; measured: string; cases: CaseResult[] }[] = [];
/** Not all that they should be: they replace nothing. */
const incomplete = new Set<string>();
const curves: Curve[] = [];
/** Written after each workload, so that a bench that is ended has not been for nothing. */
const save = (measured: Report['workloads'], plotted: readonly Curve[]): void => {
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    // Small ones are no part of a full table.
    machine: machine(process.env['BENCH_DIR'] ?? '/var/tmp') + (flags.small ? ', a tenth of everything' : ''),
    tools: versions(place.tools),
    workloads: measured,
    curves: plotted,
  };
  if (flags.json !== undefined) write(flags.json, report);
  if (flags.into !== undefined) {
    const complete = measured.filter(({ id }) => !incomplete.has(id));
    write(flags.into, merge(read(flags.into), { ...report, workloads: complete }));
  } else if (flags.all && chosen === undefined) write(RESULTS, report);
};
try {
  for (const tool of place.tools) log(tool.version.split('\n')[0] ?? '');
  // Says before anything is measured whether it can be merged.
  if (flags.into !== undefined) save([], []);
  for (const workload of workloads) {
    const { id, title } = workload;
    log(`${id} ${title}`);
    const start = elapsed();
    const cases: CaseResult[] = [];
    if (elapsed() > options.hurry.stop) {
      log('  left out, no time is left');
      incomplete.add(id);
      continue;
    }
    const tests = await workload.prepare(place).catch((error: unknown) => {
      log(`  FAILED: ${error instanceof Error ? error.message : String(error)}`);
      incomplete.add(id);
      return [];
    });
    for (const test of tests) {
      if (elapsed() > options.hurry.stop) {
        log(`  ${test.name}: left out, no time is left`);
        incomplete.add(id);
        continue;
      }
      const result = await runCase(place, test, options).catch((error: unknown) => {
        log(`  ${test.name}: FAILED: ${error instanceof Error ? error.message : String(error)}`);
        incomplete.add(id);
        return undefined;
      });
      if (result === undefined) continue;
      cases.push(result);
      const own = ratio(result);
      log(`  ${test.name}: ${own === undefined ? '' : `ratio ${own.toFixed(2)}, target ${test.target ?? 'none'}`}`);
      for (const [tool, different] of Object.entries(result.compared ?? {})) {
        log(`  ${test.name}: same image as ${tool}: ${different.length === 0 ? 'yes' : `no: ${different.join(', ')}`}`);
      }
    }
    results.push({ id, title, measured: began, cases });
    log(`  ${Math.round(elapsed() - start)} s; ${(elapsed() / 60).toFixed(1)} minutes since the start`);
    // Gigabytes, of each tool.
    if (!workload.short)
      for (const tool of place.tools) await tool.prune().catch(() => log(`${tool.id}: prune failed`));
    save(results, []);
  }
  if (withCurves)
    curves.push(...(await measureCurves(place, { log, until: Math.max(minutes * 60, elapsed() + CURVES_SECONDS) })));
} finally {
  await place.close();
}
save(results, curves);
process.stdout.write(markdown({ workloads: results, tools: versions(place.tools) }));
