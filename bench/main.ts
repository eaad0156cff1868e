/**
 * Times Slipway against the builders that people use, on the workloads of `workloads/`. See README.md.
 *
 *     npm run bench                  a subset, about two minutes
 *     npm run bench -- --all         everything within 25 minutes; writes docs/performance.md and bench/results.json
 *     npm run bench -- --only W2,W7 --tools slipway,buildkit --runs 3
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CURVES_SECONDS, measureCurves, type Curve } from './curves.ts';
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
    write: { type: 'boolean' },
    curves: { type: 'boolean' },
    minutes: { type: 'string' },
  },
});
const RESULTS = new URL('./results.json', import.meta.url);

const chosen = flags.only?.toUpperCase().split(',');
const workloads = WORKLOADS.filter(({ id, short }) =>
  chosen === undefined ? flags.all || short : chosen.includes(id),
);
const toolIds = (flags.tools?.split(',') ??
  (flags.all ? ['slipway', 'buildkit', 'buildah'] : ['slipway', 'buildkit'])) as ToolId[];
const log = (line: string) => void process.stderr.write(`${line}\n`);
/** Of all; the curves need some at the end. */
const minutes = Number(flags.minutes ?? 24);
const withCurves = flags.curves ?? flags.all;
const limit = minutes * 60 - (withCurves ? CURVES_SECONDS : 0);
const options: RunnerOptions = {
  hurry: { once: limit * 0.7, withoutBuildah: limit * 0.85, stop: limit },
  maxRuns: Number(flags.runs ?? (flags.all || chosen !== undefined ? 100 : 3)),
  memory: flags.memory ?? flags.all,
  traffic: true,
  compare: flags.compare ?? flags.all,
  floors: true,
  log,
};

const place = await openPlace({ tools: toolIds, small: flags.small });
// Gigabytes would stay.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void place.close().finally(() => process.exit(1)));
}
const results: { id: string; title: string; cases: CaseResult[] }[] = [];
const curves: Curve[] = [];
/** Written after each workload, so that a bench that is ended has not been for nothing. */
const save = (workloads: Report['workloads'], plotted: readonly Curve[]): void => {
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(process.env['BENCH_DIR'] ?? '/var/tmp'),
    tools: versions(place.tools),
    workloads,
    curves: plotted,
  };
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(report, undefined, 2));
  if (flags.write ?? flags.all) {
    writeFileSync(RESULTS, `${JSON.stringify(report, undefined, 2)}\n`);
    writePage(report);
  }
};
try {
  for (const tool of place.tools) log(tool.version.split('\n')[0] ?? '');
  for (const workload of workloads) {
    const { id, title } = workload;
    log(`${id} ${title}`);
    const cases: CaseResult[] = [];
    if (elapsed() > options.hurry.stop) {
      log('  left out, no time is left');
      continue;
    }
    const tests = await workload.prepare(place).catch((error: unknown) => {
      log(`  FAILED: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    });
    for (const test of tests) {
      if (elapsed() > options.hurry.stop) {
        log(`  ${test.name}: left out, no time is left`);
        continue;
      }
      const result = await runCase(place, test, options).catch((error: unknown) => {
        log(`  ${test.name}: FAILED: ${error instanceof Error ? error.message : String(error)}`);
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
    results.push({ id, title, cases });
    // Gigabytes, of each tool.
    if (!workload.short)
      for (const tool of place.tools) await tool.prune().catch(() => log(`${tool.id}: prune failed`));
    if (withCurves && flags.all) save(results, []);
  }
  if (withCurves) curves.push(...(await measureCurves(place, { log, until: minutes * 60 })));
} finally {
  await place.close();
}
save(results, curves);
process.stdout.write(markdown({ workloads: results, tools: versions(place.tools) }));
