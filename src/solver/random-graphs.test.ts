import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Vertex } from '../llb/index.ts';
import { createEngine } from './engine.ts';
import { FakeStore } from './testing/fake-store.ts';
import { FakeDisk, FakeWorker } from './testing/fake-worker.ts';
import { context, copy, definition, image, merge, out, run, write } from './testing/graph.ts';

/** A node of a graph to be: what it does, and which earlier nodes it takes (modulo their number). */
interface Node {
  readonly kind: 'run' | 'same' | 'mount' | 'write' | 'copy' | 'context' | 'merge';
  readonly word: number;
  readonly a: number;
  readonly b: number;
}

const node: fc.Arbitrary<Node> = fc.record({
  kind: fc.constantFrom('run', 'same', 'mount', 'write', 'copy', 'context', 'merge'),
  word: fc.nat(3),
  a: fc.nat(20),
  b: fc.nat(20),
});

/** What happens between two builds. */
type Change =
  | { readonly kind: 'edit'; readonly at: number; readonly node: Node }
  | { readonly kind: 'context'; readonly file: number; readonly text: number }
  | { readonly kind: 'base'; readonly text: number }
  | { readonly kind: 'lose-bytes' | 'lose-layers'; readonly share: number }
  | { readonly kind: 'nothing' };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('edit' as const), at: fc.nat(20), node }),
  fc.record({ kind: fc.constant('context' as const), file: fc.nat(2), text: fc.nat(2) }),
  fc.record({ kind: fc.constant('base' as const), text: fc.nat(2) }),
  fc.record({
    kind: fc.constantFrom('lose-bytes' as const, 'lose-layers' as const),
    share: fc.integer({ min: 2, max: 4 }),
  }),
  fc.constant({ kind: 'nothing' as const }),
);

function graph(nodes: readonly Node[]): Vertex {
  const made: Vertex[] = [image('base')];
  for (const { kind, word, a, b } of nodes) {
    const [first, second] = [out(made[a % made.length]!), out(made[b % made.length]!)];
    const byKind = {
      run: () => run(first, `run ${word}`),
      same: () => run(first, `same ${word}`),
      mount: () => run(first, `run ${word}`, { from: second, selector: '/etc' }),
      write: () => write(first, `/etc/${word}`, String(a)),
      copy: () => copy(first, second, '/etc', `/copied/${word}`),
      context: () => copy(first, out(context()), `/src/${word % 3}`, '/etc'),
      merge: () => merge(first, second),
    };
    made.push(byKind[kind]());
  }
  return made.at(-1)!;
}

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

function apply(next: Change, nodes: Node[], disk: FakeDisk): void {
  switch (next.kind) {
    case 'edit':
      nodes[next.at % nodes.length] = next.node;
      return;
    case 'context':
      disk.context.set(`/src/${next.file}`, String(next.text));
      return;
    case 'base':
      disk.images.set('docker-image://docker.io/library/base', String(next.text));
      return;
    case 'lose-bytes':
      for (const [i, id] of [...disk.bytes].entries())
        if (i % next.share === 0 && !id.startsWith('i')) disk.bytes.delete(id);
      return;
    case 'lose-layers':
      for (const [i, id] of [...disk.layers.keys()].entries()) {
        if (i % next.share !== 0) continue;
        disk.layers.delete(id);
        disk.bytes.delete(id);
      }
      return;
    case 'nothing':
      return;
  }
}
