import { spawnSync } from 'node:child_process';
import { afterAll, expect, it } from 'vitest';
import { Bench, SLIPWAY } from '../support/cli.ts';

const bench = new Bench();
afterAll(() => bench.dispose());

it('output longer than a pipe holds arrives whole, however slow its reader is', async () => {
  const labels = Array.from({ length: 3000 }, (_, i) => `LABEL name${i}=${'x'.repeat(40)}\n`).join('');
  const context = bench.context('long', { Dockerfile: `FROM scratch\n${labels}` });
  expect((await bench.run(['build', '-t', 'long', context])).code).toBe(0);
  const script = '"$0" "$1" inspect long | (sleep 1; cat)';
  const slow = spawnSync('sh', ['-c', script, process.execPath, SLIPWAY], {
    env: { ...process.env, ...bench.env },
    maxBuffer: 64 << 20,
  });
  const text = slow.stdout.toString('utf8');
  expect(text.length).toBeGreaterThan(200_000);
  expect(() => JSON.parse(text) as unknown).not.toThrow();
});
