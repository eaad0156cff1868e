import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Vertex } from '../llb/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { createEngine } from './engine.ts';
import { FakeDisk, FakeWorker } from './testing/fake-worker.ts';
import { copy, definition, image, out, run, write } from './testing/graph.ts';

let root: string;
let stores: Store[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-solver-'));
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(root, { recursive: true });
});

/** An engine as another process would have it: its own handle of the store. */
async function process(disk: FakeDisk) {
  const store = await openStore({ root });
  stores.push(store);
  const worker = new FakeWorker(disk);
  const engine = createEngine({ store, worker });
  const build = async (target: Vertex, noCache: 'all' | Set<never> = new Set<never>()) => {
    const { snapshot } = await engine.solve(definition(out(target)), {
      signal: new AbortController().signal,
      events: () => undefined,
      noCache,
    });
    return [...worker.read(snapshot)];
  };
  return { worker, build };
}

test('two engines on one store do each step once, and see the same', async () => {
  const disk = new FakeDisk();
  const [a, b] = [await process(disk), await process(disk)];
  for (const { worker } of [a, b]) worker.during = async () => setTimeout(5);
  const steps = [1, 2, 3].map((i) => run(out(image('alpine')), `step ${i}`));
  const target = steps.reduce((base, step) => copy(out(base), out(step), '/out', '/'), image('alpine'));
  const [one, two] = await Promise.all([a.build(target), b.build(target)]);
  expect(one).toEqual(two);
  expect([...a.worker.ran, ...b.worker.ran].sort()).toEqual([
    'COPY /out /',
    'COPY /out /',
    'COPY /out /',
    'RUN step 1',
    'RUN step 2',
    'RUN step 3',
  ]);
});

test('a later process finds what an earlier one did, and what --no-cache replaced', async () => {
  const disk = new FakeDisk();
  const target = run(out(run(out(image('alpine')), 'random')), 'on top');
  const first = await (await process(disk)).build(target);
  const replaced = await (await process(disk)).build(target, 'all');
  expect(replaced).not.toEqual(first);
  const third = await process(disk);
  expect(await third.build(target)).toEqual(replaced);
  expect(third.worker.ran).toEqual([]);
});

test('a long chain', async () => {
  let chain = out(image('alpine'));
  for (let i = 0; i < 500; i++) chain = out(write(chain, `/f${i}`, String(i)));
  const { worker, build } = await process(new FakeDisk());
  worker.during = async () => undefined;
  await build(chain.vertex);
  expect(worker.ran).toHaveLength(500);
  worker.ran.length = 0;
  await build(chain.vertex);
  expect(worker.ran).toEqual([]);
});
