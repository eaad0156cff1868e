import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { fuzzOnce } from './cached-equals-uncached.ts';

// A few projects of fixed seeds; `node test/fuzz/main.ts --seconds 3600` looks further.
const SEEDS = [1, 2];
const EDITS = 2;

let dir = '';
let base = '';
beforeAll(() => {
  dir = mkdtempSync('/var/tmp/slipway-test-');
  base = `oci-layout://${busyboxLayout(dir)}`;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.each(SEEDS)(
  'edited projects give the same image with and without cache (seed %i)',
  { timeout: 120_000 },
  async (seed) => {
    const lines: string[] = [];
    await fuzzOnce({ dir, base, seed, edits: EDITS, log: (line) => lines.push(line) });
    expect(lines).toHaveLength(EDITS + 1);
  },
);
