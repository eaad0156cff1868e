import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Vertex } from '../llb/index.ts';
import { createEngine } from './engine.ts';
import { FakeStore } from './testing/fake-store.ts';
import { FakeDisk, FakeWorker } from './testing/fake-worker.ts';
import { definition, out } from './testing/graph.ts';
import { apply, change, graph, node } from './testing/random-graph.ts';

async function build(target: Vertex, disk: FakeDisk, store: FakeStore) {
  const worker = new FakeWorker(disk);
  worker.during = async () => undefined;
  const { snapshot } = await createEngine({ store: store.store, worker }).solve(definition(out(target)), {
    signal: new AbortController().signal,
    events: () => undefined,
    noCache: new Set(),
  });
  expect(store.locks.size).toBe(0);
  for (const { id } of snapshot.layers) expect(disk.bytes.has(id)).toBe(true);
  return { files: [...worker.read(snapshot)].sort(), ran: worker.ran };
}

test('whatever changed, a build with cache gives what a build without gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(node, { minLength: 1, maxLength: 12 }),
      fc.array(change, { minLength: 1, maxLength: 6 }),
      async (start, changes) => {
        const disk = new FakeDisk();
        const store = new FakeStore();
        const nodes = [...start];
        for (const file of [0, 1, 2]) disk.context.set(`/src/${file}`, '0');
        for (const next of [{ kind: 'nothing' } as const, ...changes]) {
          apply(next, nodes, disk);
          const cached = await build(graph(nodes), disk, store);
          const fresh = new FakeDisk();
          for (const [name, text] of disk.context) fresh.context.set(name, text);
          for (const [name, text] of disk.images) fresh.images.set(name, text);
          const uncached = await build(graph(nodes), fresh, new FakeStore());
          expect(cached.files).toEqual(uncached.files);
          expect((await build(graph(nodes), disk, store)).ran).toEqual([]);
        }
      },
    ),
    { numRuns: 300 },
  );
});
