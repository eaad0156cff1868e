import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

let bench: Bench;
let base = '';
beforeAll(() => {
  bench = new Bench({ SLIPWAY_KEEP_STORAGE: 'unlimited' });
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

async function build(context: string, ...flags: readonly string[]) {
  return await bench.run(['build', '--build-context', base, '--progress', 'plain', ...flags, context]);
}

async function ok(args: readonly string[]): Promise<string> {
  const result = await bench.run(args);
  expect(result, result.stderr).toMatchObject({ code: 0 });
  return result.stdout;
}

interface Usage {
  readonly types: Readonly<Record<string, { readonly count: number; readonly size: number }>>;
  readonly items: readonly { readonly type: string; readonly description: string; readonly project?: string }[];
  readonly cache: number;
}

async function usage(): Promise<Usage> {
  return JSON.parse(await ok(['du', '--json'])) as Usage;
}

async function verified(): Promise<void> {
  expect(JSON.parse(await ok(['du', '--verify', '--deep', '--json']))).toMatchObject({ problems: [], leftovers: [] });
}

/** Several stages that do some work: steps that run, that copy between stages, that use cache mounts. */
function stages(name: string): string {
  return [
    'FROM busybox AS shared',
    'RUN --mount=type=cache,target=/cache date >> /cache/log; mkdir /tools && seq 1 2000 > /tools/list && sleep 0.1',
    `FROM busybox AS build`,
    'COPY --from=shared /tools /tools',
    `RUN echo ${name} > /name && cat /tools/list > /out`,
    'FROM busybox',
    'COPY --from=build /out /name /result/',
    'COPY file /result/file',
    'RUN cat /result/* | wc -l > /result/lines',
    '',
  ].join('\n');
}

describe('prune', () => {
  it('frees what rmi left, and what is named still runs', async () => {
    const context = bench.context('rmi', { Dockerfile: stages('rmi'), file: 'x' });
    expect(await build(context, '-t', 'kept', '-t', 'gone')).toMatchObject({ code: 0 });
    const before = await usage();
    expect(before.types).toMatchObject({ image: { count: 2 }, 'cache-mount': { count: 1 }, context: { count: 1 } });
    expect(before.items.find(({ type }) => type === 'cache-mount')?.description).toBe('/cache');
    expect(before.items.filter(({ type }) => type === 'step').map(({ description }) => description)).toContainEqual(
      expect.stringMatching(/^\[build \d\/\d\] RUN echo rmi > \/name && cat \/tools\/list > \/out$/),
    );
    await ok(['rmi', 'gone']);
    expect(await ok(['prune'])).toMatch(/^Removed: \d+ steps, 1 cache mount, 1 context\nFreed: /);
    const after = await usage();
    expect(after.types).toMatchObject({ image: { count: 1 }, step: { count: 0 }, unused: { count: 0 } });
    expect(await ok(['run', 'kept', 'cat', '/result/name'])).toBe('rmi\n');
    await verified();
    // What it left is enough to build again, and what comes of it is the same.
    expect(await build(context, '-t', 'again')).toMatchObject({ code: 0 });
    expect(await ok(['run', 'again', 'cat', '/result/lines'])).toBe('2001\n');
    await ok(['rmi', 'kept', 'again']);
    await ok(['prune', '--all']);
    expect(await usage()).toMatchObject({ cache: 0, types: { image: { count: 0, size: 0 } } });
    await verified();
  });

  it('of one project leaves the others', async () => {
    const one = bench.context('project-one', { Dockerfile: 'FROM busybox\nRUN echo one > /one\n' });
    const two = bench.context('project-two', { Dockerfile: 'FROM busybox\nRUN echo two > /two\n' });
    for (const context of [one, two]) expect(await build(context)).toMatchObject({ code: 0 });
    expect(await ok(['prune', '--project', one, '--dry-run'])).toContain('RUN echo one');
    await ok(['prune', '--project', one]);
    expect((await build(two)).stderr).toMatch(/RUN echo two > \/two\n#\d+ CACHED/);
    expect((await build(one)).stderr).not.toMatch(/RUN echo one > \/one\n#\d+ CACHED/);
    await ok(['prune', '--filter', 'description~=RUN echo one']);
    expect((await build(two)).stderr).toMatch(/RUN echo two > \/two\n#\d+ CACHED/);
    expect((await build(one)).stderr).not.toMatch(/RUN echo one > \/one\n#\d+ CACHED/);
  });

  it('stops at a size, the longest unused first, and leaves what was used since a time', async () => {
    await ok(['prune', '--all']);
    const step = (name: string): string =>
      bench.context(`sized-${name}`, {
        Dockerfile: `FROM busybox\nRUN dd if=/dev/zero of=/large bs=1M count=8 && echo ${name} > /i\n`,
      });
    const isCached = async (name: string): Promise<boolean> =>
      /RUN dd.*\n#\d+ CACHED/.test((await build(step(name))).stderr);
    for (const name of ['old', 'new']) await build(step(name));
    await ok(['prune', '--until', '1h']);
    expect(await isCached('old')).toBe(true);
    // Uses within an hour of the last are not told apart: it is still the older one.
    const report = JSON.parse(await ok(['prune', '--keep-storage', '14MB', '--json'])) as { cache: number };
    expect(report.cache).toBeLessThan(14 << 20);
    expect((await usage()).cache).toBeLessThan(14 << 20);
    expect([await isCached('old'), await isCached('new')]).toEqual([false, true]);
  });

  it('comes by itself when the cache is too large, after a build that wrote', async () => {
    const large = (i: number) =>
      bench.context(`large-${i}`, {
        Dockerfile: `FROM busybox\nRUN dd if=/dev/zero of=/large bs=1M count=8 && echo ${i} > /i\n`,
      });
    await ok(['prune', '--all']);
    for (let i = 0; i < 4; i++) {
      const context = large(i);
      const flags = ['build', '--build-context', base, '--progress', 'plain', context];
      const result = await bench.run(flags, { env: { SLIPWAY_KEEP_STORAGE: '25MB' } });
      expect(result, result.stderr).toMatchObject({ code: 0 });
    }
    const { cache } = await usage();
    expect(cache).toBeLessThan(25 << 20);
    expect(cache).toBeGreaterThan(8 << 20);
    expect((await build(large(3))).stderr).toMatch(/RUN dd.*\n#\d+ CACHED/);
    expect((await build(large(0))).stderr).not.toMatch(/RUN dd.*\n#\d+ CACHED/);
    await verified();
  });

  it.each([
    [['prune', '--keep-storage', 'much'], /--keep-storage is no size: "much"/],
    [['prune', '--until', 'yesterday'], /"yesterday" is no time/],
    [['prune', '--filter', 'colour=red'], /"colour=red" is no filter/],
    [['prune', '--project', '/nowhere'], /neither a directory nor the id/],
    [['prune', 'everything'], /prune takes no arguments/],
    [['build', '.'], /SLIPWAY_KEEP_STORAGE is no size/],
  ])('%j says what is wrong', async (args, message) => {
    const result = await bench.run(args, { env: { SLIPWAY_KEEP_STORAGE: 'x' } });
    expect(result).toMatchObject({ code: 2 });
    expect(result.stderr).toMatch(message);
  });
});

describe('at the same time', () => {
  it('eight builds that share steps run each once, and all are right', { timeout: 120_000 }, async () => {
    await ok(['prune', '--all']);
    const results = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const context = bench.context(`eight-${i}`, { Dockerfile: stages(`own ${i % 2}`), file: `file ${i}\n` });
        return await build(context, '-t', `eight-${i}`);
      }),
    );
    for (const result of results) expect(result, result.stderr).toMatchObject({ code: 0 });
    // The shared step notes in its cache mount that it ran.
    const logs = globSync(join(bench.dir, 'state/cache/*/*/fs/log'));
    expect(logs.map((log) => readFileSync(log, 'utf8').trimEnd().split('\n').length)).toEqual([1]);
    for (let i = 0; i < 8; i++) {
      expect(await ok(['run', `eight-${i}`, 'cat', '/result/file', '/result/name'])).toBe(`file ${i}\nown ${i % 2}\n`);
    }
    await verified();
  });

  it('of two builds that need the same RUN one runs it, and the other says for whom it waits', async () => {
    const dockerfile = (last: string): string =>
      `FROM busybox\nRUN --mount=type=cache,id=twice,target=/c echo begun && echo ran >> /c/log && sleep 4 && cp /c/log /log\nRUN echo ${last}\n`;
    const [first, second] = ['one', 'two'].map((name) =>
      bench.context(`twice-${name}`, { Dockerfile: dockerfile(name) }),
    );
    const child = bench.start([
      'build',
      '--build-context',
      base,
      '--progress',
      'plain',
      '-t',
      'twice-one',
      first ?? '',
    ]);
    const closed = new Promise((resolve) => child.on('close', resolve));
    let said = '';
    await new Promise<void>((resolve) => {
      child.stderr?.on('data', (data: Buffer) => {
        said += data.toString();
        if (/^#\d+ [\d.]+ begun$/m.test(said)) resolve();
      });
    });
    const waited = await build(second ?? '', '-t', 'twice-two');
    expect(await closed, said).toBe(0);
    expect(waited, waited.stderr).toMatchObject({ code: 0 });
    expect(waited.stderr).toMatch(
      new RegExp(`waiting for build [0-9a-f]{10}, process ${child.pid}, which runs \\[.*\\] RUN --mount`),
    );
    expect(waited.stderr).toMatch(/^#\d+ \[.*\] RUN --mount.*\n#\d+ CACHED$/m);
    for (const name of ['twice-one', 'twice-two']) expect(await ok(['run', name, 'cat', '/log'])).toBe('ran\n');
  });

  it('builds succeed while prune --all runs again and again', { timeout: 180_000 }, async () => {
    let building = true;
    let prunes = 0;
    const pruning = (async () => {
      while (building) {
        const result = await bench.run(['prune', '--all']);
        expect(result, result.stderr).toMatchObject({ code: 0 });
        prunes++;
      }
    })();
    const rounds = Array.from({ length: 4 }, async (_, i) => {
      for (let round = 0; round < 4; round++) {
        const context = bench.context(`race-${i}`, { Dockerfile: stages(`race ${i}`), file: `${round}\n` });
        const result = await build(
          context,
          '-t',
          `race-${i}`,
          '-o',
          `type=oci,dest=${join(bench.dir, `race-${i}.tar`)}`,
        );
        expect(result, result.stderr).toMatchObject({ code: 0 });
      }
    });
    try {
      await Promise.all(rounds);
    } finally {
      building = false;
      await pruning;
    }
    expect(prunes).toBeGreaterThan(2);
    for (let i = 0; i < 4; i++) {
      expect(await ok(['run', `race-${i}`, 'cat', '/result/file', '/result/name'])).toBe(`3\nrace ${i}\n`);
      const names = execFileSync('tar', ['-tf', join(bench.dir, `race-${i}.tar`)], { encoding: 'utf8' });
      expect(names).toContain('index.json');
    }
    await ok(['prune', '--all']);
    await verified();
  });

  it('a prune that is killed leaves nothing that is wrong', async () => {
    const kept = bench.context('kept-by-name', { Dockerfile: stages('kept by name'), file: 'kept\n' });
    expect(await build(kept, '-t', 'kept-by-name')).toMatchObject({ code: 0 });
    const dockerfile = (i: number): string =>
      `FROM busybox\nRUN for i in $(seq 2000); do echo ${i} > /f$i; done\nCOPY file /file\n`;
    let kills = 0;
    for (let round = 0; round < 6; round++) {
      const context = bench.context('to-be-pruned', { Dockerfile: dockerfile(round), file: `${round}` });
      expect(await build(context)).toMatchObject({ code: 0 });
      const child = bench.start(['prune', '--all']);
      const closed = new Promise((resolve) => child.on('close', resolve));
      // From before it begins to well into the removal.
      await Promise.race([sleep(80 + 30 * round), closed]);
      if (child.kill('SIGKILL')) kills++;
      await closed;
      expect(JSON.parse(await ok(['du', '--verify', '--deep', '--json']))).toMatchObject({ problems: [] });
      expect(await ok(['run', 'kept-by-name', 'cat', '/result/file'])).toBe('kept\n');
      expect(await build(context)).toMatchObject({ code: 0 });
    }
    expect(kills).toBeGreaterThan(0);
    await ok(['prune', '--all']);
    await verified();
  });

  it('a build that is killed holds nothing any more', async () => {
    const context = bench.context('killed', {
      Dockerfile: 'FROM busybox\nRUN echo killed > /killed\nRUN sleep 97531\n',
    });
    const child = bench.start(['build', '--build-context', base, '--progress', 'plain', context]);
    const closed = new Promise((resolve) => child.on('close', resolve));
    child.stdout?.resume();
    child.stderr?.resume();
    for (let i = 0; !isRunning('sleep\u000097531'); i++) {
      if (i > 200) throw new Error('the step never ran');
      await sleep(50);
    }
    const killed = expect.stringMatching(/^\[.*\] RUN echo killed > \/killed$/) as unknown;
    await ok(['prune', '--all']);
    const held = await usage();
    expect(held.items.map(({ description }) => description)).toContainEqual(killed);
    child.kill('SIGKILL');
    await closed;
    await ok(['prune', '--all']);
    expect((await usage()).items.map(({ description }) => description)).not.toContain(
      '[2/3] RUN echo killed > /killed',
    );
    await verified();
  });
});

function isRunning(text: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}
