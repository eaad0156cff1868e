/** What a build must not do, counted: a slower build is seen here without a clock. */
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const COUNTER = fileURLToPath(new URL('../support/count-calls.ts', import.meta.url));
/** Enough for a context to be looked at as a whole, too few for threads. */
const FILES = 2500;

const bench = new Bench();
let registry: TestRegistry;
let proxy: CountingProxy;
beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  proxy = await startCountingProxy(registry.host);
});
afterAll(async () => {
  await proxy.stop();
  await registry.stop();
  bench.dispose();
});

/** What one build did, by word, paths in order. */
async function counted(...args: readonly string[]) {
  const file = join(bench.dir, 'calls');
  rmSync(file, { force: true });
  const result = await bench.run(['build', ...args], {
    env: { NODE_OPTIONS: `--import=${COUNTER}`, COUNT_CALLS: file },
  });
  expect(result, result.stderr).toMatchObject({ code: 0 });
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const);
  return (word: string, below = '') =>
    lines.filter(([first, path]) => first === word && path.startsWith(below)).map(([, path]) => path);
}

describe('a large context', () => {
  let context: string;
  let dockerfile: string;
  const build = (...args: readonly string[]) => counted('-f', dockerfile, ...args, context);
  beforeAll(async () => {
    const files = Object.fromEntries(
      Array.from({ length: FILES }, (_, i) => [`d${i % 25}/f${i}`, `file ${i}\n`] as const),
    );
    context = bench.context('large', files);
    dockerfile = join(bench.context('dockerfiles', { Dockerfile: 'FROM scratch\nCOPY . /all/\n' }), 'Dockerfile');
    // Younger than a tick of the kernel's clock, files are looked at again.
    await setTimeout(200);
  });

  it('is read once when nothing is known, and each file looked at once', async () => {
    const calls = await build();
    expect(calls('open', context)).toHaveLength(FILES);
    expect(new Set(calls('stat', context)).size).toBe(calls('stat', context).length);
    expect(calls('process')).toEqual([]);
  });

  it('unchanged: no file is opened, none looked at twice, nothing started', async () => {
    const calls = await build();
    expect(calls('open', context)).toEqual([]);
    expect(calls('stat', context).filter((path) => /\/f\d+$/.test(path))).toHaveLength(FILES);
    expect(new Set(calls('list', context)).size).toBe(26);
    expect(calls('list', context)).toHaveLength(26);
    expect(calls('process')).toEqual([]);
    expect(calls('thread')).toEqual([]);
    // Neither blobs nor trees of the store: the record says that they are there.
    expect(calls('open', join(bench.dir, 'state')).filter((path) => /blobs|layers|trees/.test(path))).toEqual([]);
  });

  it('one file changed: that file is read, once', async () => {
    writeFileSync(join(context, 'd7/f7'), 'changed\n');
    const calls = await build();
    expect(calls('open', context)).toEqual([join(context, 'd7/f7')]);
    expect(calls('process')).toEqual([]);
  });

  it('exported: each file is read once more, to be packed; exported again: none', async () => {
    const output = `type=oci,dest=${join(bench.dir, 'out.tar')}`;
    const first = await build('-o', output);
    expect(first('open', context).length).toBeLessThanOrEqual(FILES);
    const again = await build('-o', output);
    expect(again('open', context)).toEqual([]);
    expect(again('process')).toEqual([]);
  });
});

it('counts processes and threads, too', async () => {
  const context = bench.context('steps', { Dockerfile: 'FROM scratch\nRUN ["true"]\n' });
  const file = join(bench.dir, 'calls');
  rmSync(file, { force: true });
  await bench.run(['build', context], { env: { NODE_OPTIONS: `--import=${COUNTER}`, COUNT_CALLS: file } });
  expect(readFileSync(file, 'utf8')).toMatch(/^process /m);
});

describe('an image of which one file is copied', () => {
  let image: string;
  beforeAll(() => {
    const tars = ['bottom', 'middle', 'top'].map((name) => {
      const root = join(bench.dir, name);
      mkdirSync(join(root, name), { recursive: true });
      writeFileSync(join(root, name, 'file'), name);
      writeFileSync(join(root, name, 'noise'), randomBytes(1 << 20));
      return execFileSync('tar', ['-C', root, '-cf', '-', '.'], { maxBuffer: 8 << 20 });
    });
    registry.push(`${writeLayout(join(bench.dir, 'layers'), tars, {})}:latest`, 'layers:latest');
    image = `${proxy.host}/library/layers:latest`;
  });
  /** Of blobs of layers; configs are small. */
  const pulled = () => proxy.requests.filter(({ path, bytes }) => path.includes('/blobs/') && bytes > 100_000);

  it('pulls the layer that has it and none below, once', async () => {
    const context = bench.context('lazy', { Dockerfile: `FROM scratch\nCOPY --from=${image} /top/file /file\n` });
    proxy.reset();
    const first = await counted(context);
    expect(pulled().filter(({ method }) => method === 'GET')).toHaveLength(1);
    // Of the two layers below.
    const said = await bench.run(['build', '--no-cache', context]);
    expect(said.stderr).toMatch(/not pulled: 2\.1\dMB of layers that no step needed/);
    expect(first('process')).toEqual([]);
    proxy.reset();
    await counted(context);
    expect(pulled()).toEqual([]);
  });

  it('pulls only what is missing for a file further down', async () => {
    const context = bench.context('lower', { Dockerfile: `FROM scratch\nCOPY --from=${image} /middle/file /file\n` });
    proxy.reset();
    await counted(context);
    expect(pulled()).toHaveLength(1);
  });
});
