/**
 * Times Slipway against the builders that people use, on the workloads of `workloads/`. See README.md.
 *
 *     npm run bench                  a subset, about two minutes
 *     npm run bench -- --all         everything, also docs/performance.md and bench/results.json
 *     npm run bench -- --only W2,W7 --tools slipway,buildkit --runs 3
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openPlace } from './place.ts';
import { machine, markdown, ratio, versions, type Report } from './report.ts';
import { runCase, type CaseResult, type RunnerOptions } from './runner.ts';
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
  },
});
const RESULTS = new URL('./results.json', import.meta.url);
const PAGE = new URL('../docs/performance.md', import.meta.url);

const chosen = flags.only?.toUpperCase().split(',');
const workloads = WORKLOADS.filter(({ id, short }) =>
  chosen === undefined ? flags.all || short : chosen.includes(id),
);
const toolIds = (flags.tools?.split(',') ??
  (flags.all ? ['slipway', 'buildkit', 'buildah'] : ['slipway', 'buildkit'])) as ToolId[];
const log = (line: string) => void process.stderr.write(`${line}\n`);
const options: RunnerOptions = {
  maxRuns: Number(flags.runs ?? (flags.all || chosen !== undefined ? 100 : 3)),
  memory: flags.memory ?? flags.all,
  traffic: true,
  compare: flags.compare ?? flags.all,
  floors: true,
  log,
};

const place = await openPlace({ tools: toolIds, small: flags.small });
const results: { id: string; title: string; cases: CaseResult[] }[] = [];
try {
  for (const tool of place.tools) log(tool.version.split('\n')[0] ?? '');
  for (const workload of workloads) {
    const { id, title } = workload;
    log(`${id} ${title}`);
    const cases: CaseResult[] = [];
    for (const test of await workload.prepare(place)) {
      const result = await runCase(place, test, options);
      cases.push(result);
      const own = ratio(result);
      log(`  ${test.name}: ${own === undefined ? '' : `ratio ${own.toFixed(2)}, target ${test.target ?? 'none'}`}`);
      for (const [tool, different] of Object.entries(result.compared ?? {})) {
        log(`  ${test.name}: same image as ${tool}: ${different.length === 0 ? 'yes' : `no: ${different.join(', ')}`}`);
      }
    }
    results.push({ id, title, cases });
  }
} finally {
  await place.close();
}
const report: Report = {
  date: new Date().toISOString().slice(0, 10),
  machine: machine('/var/tmp'),
  tools: versions(place.tools),
  workloads: results,
};
const table = markdown(report);
process.stdout.write(table);
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(report, undefined, 2));
if (flags.write ?? flags.all) {
  writeFileSync(RESULTS, `${JSON.stringify(report, undefined, 2)}\n`);
  const [before = '', after = ''] = readFileSync(PAGE, 'utf8').split(
    /(?<=<!-- table -->\n)[^]*(?=<!-- end of table -->)/,
  );
  writeFileSync(PAGE, `${before}\n${table}\n${after}`);
}
