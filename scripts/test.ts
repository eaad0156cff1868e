/**
 * Runs every test and ends with the line `N passed, N failed, N skipped`. Arguments go to vitest.
 * The bundle is made first: the end-to-end tests run it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Summary {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numFailedTestSuites: number;
}

const bundle = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' });
if (bundle.status !== 0) process.exit(1);

const report = join(tmpdir(), `slipway-test-${process.pid}.json`);
const run = spawnSync(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
);
const summary = JSON.parse(readFileSync(report, 'utf8')) as Summary;
rmSync(report, { force: true });
// A file that cannot even be loaded has no tests to fail: it counts as one.
const failed =
  summary.numFailedTests +
  (summary.numFailedTests === 0 && run.status !== 0 ? Math.max(1, summary.numFailedTestSuites) : 0);
process.stdout.write(
  `${summary.numPassedTests} passed, ${failed} failed, ${summary.numPendingTests + summary.numTodoTests} skipped\n`,
);
process.exit(failed > 0 || run.status !== 0 ? 1 : 0);
