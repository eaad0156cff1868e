import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { createEngine } from './engine.ts';
import { planSolve, type PlanOptions } from './plan.ts';
import { FakeStore } from './testing/fake-store.ts';
import { FakeDisk, FakeWorker } from './testing/fake-worker.ts';
import { context, copy, definition, image, out, run, write } from './testing/graph.ts';
import { apply, change, graph, node } from './testing/random-graph.ts';
import type { LookupTrace, Outcome } from './trace.ts';
import { vertexName } from './names.ts';

const common = { signal: new AbortController().signal, events: () => undefined, noCache: new Set<Digest>() };

async function plan(target: Vertex, disk: FakeDisk, store: FakeStore, options: Partial<PlanOptions> = {}) {
  const worker = new FakeWorker(disk);
  const deps = { store: store.store, worker };
  const planned = await planSolve(definition(out(target)), deps, { ...common, ...options });
  expect(worker.ran).toEqual([]);
  return planned;
}

async function build(target: Vertex, disk: FakeDisk, store: FakeStore, options: Partial<PlanOptions> = {}) {
  const outcomes = new Map<Digest, Outcome>();
  const lookups = new Map<string, Set<Digest>>();
  const trace = {
    keys: () => undefined,
    lookup: ({ digest }: Vertex, { key }: LookupTrace) =>
      void lookups.set(key, new Set([...(lookups.get(key) ?? []), digest])),
    outcome: (vertex: Vertex, outcome: Outcome) => void outcomes.set(vertex.digest, outcome),
  };
  const worker = new FakeWorker(disk);
  worker.during = async () => undefined;
  await createEngine({ store: store.store, worker, trace }).solve(definition(out(target)), { ...common, ...options });
  // Of steps that turn out to be the same one runs, whichever is first.
  for (const same of lookups.values()) if (same.size > 1) for (const digest of same) outcomes.set(digest, 'shared');
  return outcomes;
}

test('whatever changed, a plan is what a build then does', async () => {
  const counts = { hit: 0, miss: 0, unknown: 0, source: 0, none: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(node, { minLength: 1, maxLength: 12 }),
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.record({ treesOnly: fc.boolean(), noCache: fc.option(fc.nat(12), { freq: 4, nil: undefined }) }),
      async (start, changes, { treesOnly, noCache }) => {
        const disk = new FakeDisk();
        const store = new FakeStore();
        const nodes = [...start];
        for (const file of [0, 1, 2]) disk.context.set(`/src/${file}`, '0');
        for (const [i, next] of [{ kind: 'nothing' } as const, ...changes].entries()) {
          apply(next, nodes, disk);
          // Here a lost image comes back under the same id when it is opened, whoever does so first.
          await new FakeWorker(disk).run(image('base'), [], { ...common, location: undefined });
          const target = graph(nodes);
          const all = definition(out(target)).vertices;
          const anew = all[(noCache ?? 0) % all.length]?.digest;
          const options = {
            treesOnly,
            noCache: new Set(noCache === undefined || i === 0 || anew === undefined ? [] : [anew]),
          };
          const planned = await plan(target, disk, store, options);
          const outcomes = await build(target, disk, store, options);
          for (const vertex of all) {
            const outcome = outcomes.get(vertex.digest);
            const ran = outcome === 'ran' || outcome === 'refilled';
            const status = planned.get(vertex.digest)?.status ?? 'none';
            counts[status]++;
            if (outcome !== 'shared' && (status === 'hit' || status === 'miss')) {
              expect(`${vertexName(vertex)} ${ran}`).toBe(`${vertexName(vertex)} ${status === 'miss'}`);
            }
          }
        }
      },
    ),
    { numRuns: 300 },
  );
  // Of each there were many: the test has tested something.
  expect(Math.min(counts.hit, counts.miss, counts.unknown)).toBeGreaterThan(100);
});

describe('a plan', () => {
  const setUp = () => ({ disk: new FakeDisk(), store: new FakeStore() });
  const statuses = (target: Vertex, planned: Awaited<ReturnType<typeof plan>>) =>
    Object.fromEntries(
      definition(out(target)).vertices.map((vertex) => [vertexName(vertex), planned.get(vertex.digest)?.status]),
    );

  test('says what depends on the files of a step that has to run first', async () => {
    const { disk, store } = setUp();
    disk.context.set('/src/a', '1');
    const built = run(out(copy(out(image('base')), out(context()), '/src', '/work')), 'compile');
    const target = run(out(copy(undefined, out(built), '/out', '/bin')), 'test');
    await build(target, disk, store);
    disk.context.set('/src/a', '2');
    const planned = await plan(target, disk, store);
    expect(statuses(target, planned)).toMatchObject({
      'COPY /src /work': 'miss',
      'RUN compile': 'miss',
      'COPY /out /bin': 'unknown',
      'RUN test': 'unknown',
    });
    expect(planned.get(target.digest)).toEqual({ status: 'unknown', until: [built.digest] });
  });

  test('does not look below what is found', async () => {
    const { disk, store } = setUp();
    const below = write(out(image('base')), '/a', '1');
    const target = run(out(below), 'x');
    await build(target, disk, store);
    store.aliases.clear();
    await build(target, disk, store);
    expect(await plan(target, disk, store)).toEqual(
      new Map([
        [image('base').digest, { status: 'source' }],
        [below.digest, { status: 'hit', needed: false }],
        [target.digest, { status: 'hit', needed: true }],
      ]),
    );
  });

  test('fails as a build would before it runs anything', async () => {
    const { disk, store } = setUp();
    const target = copy(undefined, out(context()), '/missing', '/');
    await expect(plan(target, disk, store)).rejects.toMatchObject({ code: 'source-missing' });
  });

  test('does not read an image that was not pulled', async () => {
    const { disk, store } = setUp();
    store.layer = () => ({ hasTree: false });
    const base = image('tools');
    const target = copy(undefined, out(base), '/etc', '/etc');
    expect((await plan(target, disk, store)).get(target.digest)).toEqual({ status: 'unknown', until: [base.digest] });
  });
});
