/** Layers that are small on the way and huge when they are unpacked. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
afterAll(() => bench.dispose());

it('cost neither room nor memory when only another file of them is wanted', async () => {
  const root = join(bench.dir, 'root');
  mkdirSync(root);
  writeFileSync(join(root, 'a'), 'wanted');
  const file = openSync(join(root, 'bomb'), 'w');
  ftruncateSync(file, 400 << 20);
  closeSync(file);
  const tar = execFileSync('tar', ['-C', root, '-cf', '-', '.'], { maxBuffer: 500 << 20 });
  const layout = writeLayout(join(bench.dir, 'bomb'), [tar], {});
  const context = bench.context('app', { Dockerfile: 'FROM scratch\nCOPY --from=bomb /a /a\n' });
  const out = join(bench.dir, 'out');
  const from = `bomb=oci-layout://${layout}:latest`;
  const peak = join(bench.dir, 'peak');
  writeFileSync(
    join(bench.dir, 'peak.mjs'),
    // Of this program alone: getrusage counts what forked it, too.
    `import { readFileSync, writeFileSync } from 'node:fs';\nprocess.on('exit', () => writeFileSync(${JSON.stringify(peak)}, /VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]));\n`,
  );
  const env = { NODE_OPTIONS: `--import=${join(bench.dir, 'peak.mjs')}` };
  const built = await bench.run(['build', '--build-context', from, '-o', out, context], { env });
  expect(built, built.stderr).toMatchObject({ code: 0 });
  expect(readFileSync(join(out, 'a'), 'utf8')).toBe('wanted');
  // Kilobytes: what Node itself needs, and no more than a piece of the layer.
  expect(Number(readFileSync(peak, 'utf8'))).toBeLessThan(300 << 10);
  const used = Number(
    execFileSync('du', ['-sk', bench.env['SLIPWAY_ROOT'] ?? ''], { encoding: 'utf8' }).split('\t')[0],
  );
  expect(used).toBeLessThan(10 << 10);
});
