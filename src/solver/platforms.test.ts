/** Several definitions, one engine: what a build of several platforms asks of it. */
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { BuildEvent, SolveOptions } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { createEngine } from './engine.ts';
import type { Outcome } from './trace.ts';
import { FakeStore } from './testing/fake-store.ts';
import { FakeDisk, FakeWorker } from './testing/fake-worker.ts';
import { context, copy, definition, image, out, run } from './testing/graph.ts';

function setUp() {
  const disk = new FakeDisk();
  disk.context.set('/src/main.go', 'package main');
  const store = new FakeStore();
  /** @param delays Milliseconds before each begins. */
  const solve = async (
    targets: readonly Vertex[],
    options: Partial<SolveOptions> = {},
    delays: readonly number[] = [],
  ) => {
    const worker = new FakeWorker(disk);
    const events: Extract<BuildEvent, { type: 'vertex' }>[] = [];
    const outcomes = new Map<string, Outcome>();
    const trace = {
      keys: () => undefined,
      lookup: () => undefined,
      outcome: (vertex: Vertex, outcome: Outcome) => void outcomes.set(vertex.metadata.name ?? vertex.digest, outcome),
    };
    const engine = createEngine({ store: store.store, worker, trace });
    const results = await Promise.allSettled(
      targets.map(async (target, i) => {
        await setTimeout(delays[i] ?? 0);
        return await engine.solve(definition(out(target)), {
          signal: new AbortController().signal,
          events: (event) => event.type === 'vertex' && events.push(event),
          noCache: new Set(),
          ...options,
        });
      }),
    );
    return { worker, events, outcomes, results };
  };
  return { solve };
}

const compiled = run(out(copy(out(image('golang')), out(context()), '/src', '/work')), 'same build');
const amd64 = run(out(copy(out(image('alpine')), out(compiled), '/out/same-build', '/bin')), 'set up amd64');
const arm64 = run(out(copy(out(image('arm64/alpine')), out(compiled), '/out/same-build', '/bin')), 'set up arm64');

describe('two platforms', () => {
  test.each([[[0, 0]], [[0, 30]], [[30, 0]]])('run what they share once, begun after %j ms', async (delays) => {
    const { worker, events } = await setUp().solve([amd64, arm64], {}, delays);
    expect(worker.ran.filter((name) => name === 'RUN same build')).toHaveLength(1);
    expect(worker.ran).toEqual(expect.arrayContaining(['RUN set up amd64', 'RUN set up arm64']));
    const told = events.filter(({ digest }) => digest === compiled.digest);
    expect(
      told.map(({ started, completed, cached }) => [started !== undefined, completed !== undefined, cached]),
    ).toEqual([
      [false, false, undefined],
      [true, false, undefined],
      [true, true, undefined],
    ]);
  });

  test.each([[[0, 0]], [[0, 30]]])('run it once with --no-cache too, begun after %j ms', async (delays) => {
    const { solve } = setUp();
    await solve([amd64, arm64]);
    const { worker, outcomes } = await solve([amd64, arm64], { noCache: 'all' }, delays);
    expect(worker.ran.filter((name) => name === 'RUN same build')).toHaveLength(1);
    expect([...outcomes.values()].filter((outcome) => outcome === 'ran').length).toBeGreaterThanOrEqual(5);
  });

  test('find all of it the second time, and say so once', async () => {
    const { solve } = setUp();
    await solve([amd64, arm64]);
    const { worker, events } = await solve([amd64, arm64]);
    expect(worker.ran).toEqual([]);
    const cached = events.filter((event) => event.cached === true).map(({ digest }) => digest);
    expect(cached).toHaveLength(new Set(cached).size);
    expect(cached).toContain(compiled.digest);
  });

  test('keep to one bound of steps at a time', async () => {
    const steps = ['a', 'b', 'c', 'd'].map((name) => run(undefined, `step ${name}`));
    const { worker } = await setUp().solve(steps, { maxParallelRuns: 2 });
    expect(worker.mostRunning).toBe(2);
  });

  test('fail each for itself', async () => {
    const { results, events } = await setUp().solve([run(out(compiled), 'fail'), amd64]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(events.filter(({ error }) => error !== undefined)).toHaveLength(1);
  });
});
