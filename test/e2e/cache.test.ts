import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeOutputs } from '../../src/store/record-outputs.ts';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
let base = '';

beforeAll(() => {
  base = `oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

const build = async (context: string, ...args: readonly string[]) =>
  bench.run(['build', '--progress=plain', '--build-context', `busybox=${base}`, ...args, context]);

describe('--verify-cache', () => {
  const dockerfile = (salt: string) => `FROM busybox AS build
COPY input /input
RUN cat /proc/sys/kernel/random/uuid > /random; echo ${salt} > /same
FROM busybox
COPY --from=build /same /same
RUN cat /same > /result
`;
  const verdicts = (text: string) =>
    [...text.matchAll(/^(SAME|DIFFERS|WRONG|SKIPPED) +line (\d+): /gm)].map(
      ([, verdict, line]) => `${line} ${verdict}`,
    );

  it('tells steps that are not deterministic from wrong hits, which fail the build', async () => {
    const context = bench.context('verify', { Dockerfile: dockerfile('verify'), input: 'x' });
    await build(context);
    const first = await build(context, '--verify-cache=all');
    expect(first.code).toBe(0);
    expect(verdicts(first.stderr)).toEqual(['2 SAME', '3 DIFFERS', '5 SAME', '6 SAME']);
    expect(first.stderr).toMatch(/DIFFERS .*\n +not deterministic.*\n +\/random changed$/m);
    expect(first.stderr).toContain('1 warning found:');

    // A hit that is wrong, as a bug in the keys would make it: what line 6 is found as holds something else.
    const db = new DatabaseSync(join(bench.dir, 'state/db.sqlite'));
    const record = (text: string) => {
      const row = db.prepare('SELECT key, outputs FROM record WHERE description LIKE ?').get(`%${text}%`);
      return { key: String(row?.['key']), outputs: decodeOutputs(row?.['outputs']) };
    };
    const [wrong, other] = [record('RUN cat /same > /result'), record('COPY input /input')];
    const outputs = [[...(wrong.outputs[0] ?? []).slice(0, -1), other.outputs[0]?.at(-1)]];
    db.prepare('UPDATE record SET outputs = ? WHERE key = ?').run(JSON.stringify(outputs), wrong.key);
    db.close();
    const second = await build(context, '--verify-cache=all');
    expect(second.code).toBe(1);
    expect(verdicts(second.stderr)).toEqual(['2 SAME', '3 DIFFERS', '5 SAME', '6 WRONG']);
    expect(second.stderr).toMatch(/WRONG .*\n.*\n +\/input removed\n +\/result added$/m);
  });

  it('takes a sample', async () => {
    const context = bench.context('sample', { Dockerfile: dockerfile('sample'), input: 'x' });
    await build(context);
    expect(verdicts((await build(context, '--verify-cache')).stderr)).toHaveLength(1);
    expect(verdicts((await build(context, '--verify-cache=2')).stderr)).toHaveLength(2);
    expect((await build(context, '--verify-cache=x')).code).toBe(2);
  });
});

describe('keys', () => {
  it('are looked up before anything is unpacked: a cached build reads no tree, no layer and no directory', async () => {
    const env = { SLIPWAY_ROOT: join(bench.dir, 'keys-state') };
    const context = bench.context('first', {
      Dockerfile: `FROM busybox AS tools
RUN echo made > /made
FROM scratch
COPY --from=tools /etc/passwd /made /
COPY . /src
`,
      a: 'a',
    });
    const args = ['build', '--progress=plain', '--build-context', `busybox=${base}`, '-t', 'first', context];
    const first = await bench.run(args, { env });
    expect(first).toMatchObject({ code: 0 });
    // Whoever read one of these now would fail.
    const layers = join(env.SLIPWAY_ROOT, 'l');
    for (const id of readdirSync(layers)) {
      if (existsSync(join(layers, id, 'tree'))) writeFileSync(join(layers, id, 'tree'), 'garbage');
      rmSync(join(layers, id, 'fs'), { recursive: true, force: true });
      if (existsSync(join(layers, id, 'work'))) mkdirSync(join(layers, id, 'fs'));
    }
    const blobs = join(env.SLIPWAY_ROOT, 'blobs/sha256');
    for (const hex of readdirSync(blobs)) {
      if (readFileSync(join(blobs, hex))[0] !== '{'.charCodeAt(0)) writeFileSync(join(blobs, hex), 'garbage');
    }
    // No program can be started either.
    const second = await bench.run(args, { env: { ...env, PATH: '/nonexistent' } });
    expect(second).toMatchObject({ code: 0 });
    expect(second.stderr.match(/^#\d+ CACHED$/gm)?.length).toBeGreaterThanOrEqual(4);
    const image = (text: string) => /^image (sha256:\w+)/m.exec(text)?.[1];
    expect(image(second.stderr)).toBe(image(first.stderr));
  });

  it('are made of files that a needed step reads, of no others', async () => {
    const context = bench.context('huge', {
      Dockerfile: `FROM scratch AS unused
COPY . /all
FROM scratch
COPY --exclude=*.bin small src /
COPY *.txt /texts/
`,
      small: 'small',
      'src/a': 'a',
      'one.txt': '1',
    });
    // Nobody could read them before the test ends.
    for (const name of ['huge.bin', 'src/huge.bin']) {
      writeFileSync(join(context, name), '');
      truncateSync(join(context, name), 2 ** 40);
    }
    const out = join(bench.dir, 'huge-out');
    expect(await build(context, '-o', out)).toMatchObject({ code: 0 });
    expect(readdirSync(out).sort()).toEqual(['a', 'small', 'texts']);
  });

  it('of a context file count for what is read, not for where and when', async () => {
    const files = {
      Dockerfile: 'FROM busybox\nCOPY src /src\nRUN cat /src/* > /all; cat /proc/sys/kernel/random/uuid > /id\n',
      'src/a': 'a',
      'src/b': 'b',
    };
    const id = async (name: string) => (await bench.run(['run', name, 'cat', '/id'])).stdout;
    await build(bench.context('here', files), '-t', 'one');
    const reversed = Object.fromEntries(Object.entries(files).reverse());
    await build(bench.context('there/below', reversed), '-t', 'two');
    expect(await id('two')).toBe(await id('one'));
  });

  it('a file that is edited between the look and its use gives its step another key', async () => {
    const context = bench.context('edited', {
      Dockerfile: 'FROM busybox\nRUN echo running && sleep 3\nCOPY data /data\nRUN cat /data > /seen\n',
      data: 'old',
    });
    const child = bench.start([
      'build',
      '--progress=plain',
      '--build-context',
      `busybox=${base}`,
      '-t',
      'edited',
      context,
    ]);
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8');
      // The step runs: keys were made before.
      if (/^#\d+ [\d.]+ running$/m.test(stderr) && readFileSync(join(context, 'data'), 'utf8') === 'old') {
        writeFileSync(join(context, 'data'), 'new');
      }
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).toMatch(/\/data changed .*; building again with what is there now/);
    expect(code).toBe(0);
    expect((await bench.run(['run', 'edited', 'cat', '/seen'])).stdout).toBe('new');
    // And the old content was not recorded as anything else.
    writeFileSync(join(context, 'data'), 'old');
    expect((await build(context, '-t', 'edited')).code).toBe(0);
    expect((await bench.run(['run', 'edited', 'cat', '/seen'])).stdout).toBe('old');
  });
});

describe('eight builds at once', () => {
  it('over one state directory: all right, and what they share runs once', async () => {
    const shared = `FROM busybox AS base
COPY shared /shared
RUN cat /proc/sys/kernel/random/uuid > /uuid
RUN cat /uuid /shared > /both && sleep 0.5
`;
    const contexts = Array.from({ length: 8 }, (_, i) =>
      bench.context(`eight/${i}`, {
        Dockerfile: `${shared}FROM busybox\nCOPY --from=base /both /both\nCOPY own /own\nRUN cat /both /own > /result\n`,
        shared: 'shared\n',
        own: `own ${i}\n`,
      }),
    );
    const env = { SLIPWAY_ROOT: join(bench.dir, 'eight-state') };
    const results = await Promise.all(
      contexts.map(async (context, i) =>
        bench.run(['build', '--progress=plain', '--build-context', `busybox=${base}`, '-t', `eight-${i}`, context], {
          env,
        }),
      ),
    );
    for (const result of results) expect(result, result.stderr).toMatchObject({ code: 0 });
    const made = await Promise.all(
      contexts.map(async (_, i) => (await bench.run(['run', `eight-${i}`, 'cat', '/result'], { env })).stdout),
    );
    const [uuid = ''] = (made[0] ?? '').split('\n');
    expect(uuid).toMatch(/^[0-9a-f-]{36}$/);
    expect(made).toEqual(contexts.map((_, i) => `${uuid}\nshared\nown ${i}\n`));

    // Of each shared step one build says that it ran, the others that they found it.
    interface Step {
      readonly line?: number;
    }
    const ids = (await bench.run(['builds', '-q'], { env })).stdout.trim().split('\n');
    expect(ids).toHaveLength(8);
    const ran: number[] = [];
    for (const id of ids) {
      const { explanations } = JSON.parse((await bench.run(['explain', '--json', id], { env })).stdout) as {
        explanations: Step[];
      };
      ran.push(...explanations.flatMap(({ line }) => line ?? []));
    }
    const count = (line: number) => ran.filter((other) => other === line).length;
    expect([3, 4, 8].map(count)).toEqual([1, 1, 8]);
  });
});
