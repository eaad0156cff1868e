import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench, SLIPWAY } from '../support/cli.ts';
import { MISTAKES } from '../support/mistakes.ts';

const bench = new Bench();
let base = '';
beforeAll(() => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

describe('a mistake', () => {
  it.each(MISTAKES)('$name', async ({ name, files, args = [], code = 1, says, saysHere = [] }) => {
    const context = bench.context(name.replaceAll(' ', '-'), files);
    const result = await bench.run(['build', '--build-context', base, ...args, context]);
    expect(result.code, result.stderr).toBe(code);
    for (const text of [...says, ...saysHere]) expect(result.stderr).toMatch(text);
    expect(result.stderr.match(/^error: /gm)).toHaveLength(1);
    expect(result.stderr).not.toMatch(/^ {4}at /m);
    const temporary = join(bench.dir, 'state/tmp');
    expect(existsSync(temporary) ? readdirSync(temporary) : []).toEqual([]);
  });

  it('a machine without crun and runc', async () => {
    const context = bench.context('norun', { Dockerfile: 'FROM busybox\nRUN echo never run before\n' });
    // Hidden in a mount namespace of the test's own.
    const hide = 'for f in $(which -a crun runc); do mount --bind /dev/null "$f"; done; exec "$@"';
    const command = [process.execPath, SLIPWAY, 'build', '--build-context', base, context];
    const env = { ...process.env, ...bench.env };
    const result = spawnSync('unshare', ['-m', 'sh', '-c', hide, 'sh', ...command], { env, encoding: 'utf8' });
    expect(result.status, result.stderr).toBe(3);
    expect(result.stderr).toMatch(/apt-get install .*crun/);
  });

  it('a full disk', async () => {
    const context = bench.context('full', {
      Dockerfile: 'FROM busybox\nCOPY big /big\nRUN cp /big /big2\n',
      big: randomBytes(20 << 20),
    });
    const small = join(bench.dir, 'small');
    mkdirSync(small, { recursive: true });
    const command = [process.execPath, SLIPWAY, 'build', '-t', 'full', '--build-context', base, context];
    const script = 'mount -t tmpfs -o size=16m tmpfs "$0"; "$@"; code=$?; find "$0/tmp" -mindepth 1; exit $code';
    const env = { ...process.env, ...bench.env, SLIPWAY_ROOT: small };
    const result = spawnSync('unshare', ['-m', 'sh', '-c', script, small, ...command], { env, encoding: 'utf8' });
    expect(result.status, result.stderr).toBe(5);
    expect(result.stderr).toMatch(/error: .*no space/i);
    expect(result.stdout).toBe('');
  });

  it('a state directory that cannot be made', async () => {
    const file = join(bench.dir, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    const context = bench.context('noroot', { Dockerfile: 'FROM scratch\nLABEL a=b\n' });
    const result = await bench.run(['build', context], { env: { SLIPWAY_ROOT: join(file, 'state') } });
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('SLIPWAY_ROOT');
  });
});
