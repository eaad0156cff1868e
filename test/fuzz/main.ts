/** Fuzzes for as long as it is told: `node test/fuzz/main.ts [--seconds 60] [--seed N] [--edits 6]`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { busyboxLayout } from '../support/base-image.ts';
import { fuzzOnce } from './cached-equals-uncached.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    edits: { type: 'string', default: '6' },
    verbose: { type: 'boolean', default: false },
  },
});
const dir = mkdtempSync('/var/tmp/slipway-fuzz-');
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    rmSync(dir, { recursive: true, force: true });
    process.exit(1);
  });
}
const base = `oci-layout://${busyboxLayout(dir)}`;
const until = Date.now() + Number(values.seconds) * 1000;
let seed = Number(values.seed);
let done = 0;
try {
  for (; Date.now() < until; seed++, done++) {
    const log = values.verbose ? (line: string) => void process.stdout.write(`${line}\n`) : undefined;
    await fuzzOnce({ dir, base, seed, edits: Number(values.edits), log });
  }
  process.stdout.write(
    `${done} projects, seeds ${values.seed} to ${seed - 1}: cached and uncached builds gave the same images\n`,
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
