import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench, SLIPWAY } from '../support/cli.ts';

const bench = new Bench();
let base: readonly string[] = [];
beforeAll(() => {
  base = ['--build-context', `busybox=oci-layout://${busyboxLayout(bench.dir)}`];
});
afterAll(() => bench.dispose());

async function imageId(context: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await bench.run(['build', '-q', '-t', 'checked', ...base, ...args, context], {
    env: { SOURCE_DATE_EPOCH: '0' },
  });
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

describe('slipway check', () => {
  it('needs no network and no state, and leaves none', () => {
    const context = bench.context('offline', { Dockerfile: 'FROM never.example.org/image AS Base\nRUN x\n' });
    const state = join(bench.dir, 'no-state');
    // A network namespace of its own has no way out.
    const { status, stdout, stderr } = spawnSync('unshare', ['--net', process.execPath, SLIPWAY, 'check', context], {
      encoding: 'utf8',
      env: { ...bench.env, PATH: process.env['PATH'], HOME: bench.dir, SLIPWAY_ROOT: state },
    });
    expect(stderr).toBe('');
    expect(stdout).toContain('WARNING: StageNameCasing');
    expect(status).toBe(1);
    expect(existsSync(join(state, 'db'))).toBe(false);
  });

  it('reads a Dockerfile from standard input', async () => {
    const { code, stdout } = await bench.run(['check', '--format=github', '-'], { stdin: 'FROM scratch as a\n' });
    expect([code, stdout.split(',')[0]]).toEqual([1, '::warning file=Dockerfile']);
  });

  it('repairs the forgotten AS: then it builds', async () => {
    const context = bench.context('unnamed', {
      Dockerfile: 'FROM busybox\nRUN echo hello > /made # here\n\nFROM scratch\nCOPY --from=build /made /\n',
    });
    expect((await bench.run(['build', ...base, context])).code).toBe(1);
    const { code, stdout, stderr } = await bench.run(['check', '--fix', context]);
    expect([code, stdout, stderr]).toEqual([
      0,
      'Check complete, no warnings found.\n',
      expect.stringContaining('1 repair in '),
    ]);
    expect(readFileSync(join(context, 'Dockerfile'), 'utf8')).toBe(
      'FROM busybox AS build\nRUN echo hello > /made # here\n\nFROM scratch\nCOPY --from=build /made /\n',
    );
    expect((await bench.run(['build', ...base, context])).code).toBe(0);
  });

  it('repairs without a change of the image', async () => {
    const context = bench.context('same', {
      Dockerfile:
        'From busybox as one\nENV GREETING hello  world\nrun echo "$GREETING" > /g\nLABEL a "b c"\nFROM one\nCOPY --from=one /g /h\n',
    });
    const before = await imageId(context);
    const { stderr } = await bench.run(['check', '--fix', context]);
    expect(stderr).toContain('repairs in');
    expect(await imageId(context)).toBe(before);
  });
});

describe('a build', () => {
  const warned = { Dockerfile: 'FROM busybox as one\nCMD echo x\n' };

  it("prints BuildKit's warnings at its end, and ours not", async () => {
    const context = bench.context('warned', { Dockerfile: `${warned.Dockerfile}FROM busybox AS unused\nFROM one\n` });
    const { code, stderr } = await bench.run(['build', '--progress=plain', ...base, context]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(
      ' - FromAsCasing: as is not in the case of FROM (line 1)\n - JSONArgsRecommended: CMD runs in a shell, which does not pass signals on (line 2)\n',
    );
    expect(stderr).not.toContain('UnusedStage');
  });

  it('fails where the file asks for it, before anything runs', async () => {
    const context = bench.context('strict', { Dockerfile: `# check=error=true\n${warned.Dockerfile}RUN echo ran\n` });
    const { code, stderr } = await bench.run(['build', '--progress=plain', ...base, context]);
    expect(code).toBe(1);
    expect(stderr).toContain('  JSONArgsRecommended: CMD runs in a shell, which does not pass signals on (line 3)\n');
    expect(stderr).toContain('checks failed: FromAsCasing, JSONArgsRecommended');
    expect(stderr).not.toMatch(/^#\d+ .*echo ran/m);
    const args = ['--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=skip=all'];
    expect((await bench.run(['build', ...args, ...base, context])).code).toBe(0);
  });
});
