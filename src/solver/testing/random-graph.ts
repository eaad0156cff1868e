import fc from 'fast-check';
import type { Vertex, VertexInput } from '../../llb/index.ts';
import type { FakeDisk } from './fake-worker.ts';
import { context, copy, image, merge, out, run, write } from './graph.ts';

/** A node of a graph to be: what it does, and which earlier nodes it takes (modulo their number). */
export interface Node {
  readonly kind: 'run' | 'same' | 'mount' | 'write' | 'copy' | 'context' | 'merge';
  readonly word: number;
  readonly a: number;
  readonly b: number;
}

export const node: fc.Arbitrary<Node> = fc.record({
  kind: fc.constantFrom('run', 'same', 'mount', 'write', 'copy', 'context', 'merge'),
  word: fc.nat(3),
  a: fc.nat(20),
  b: fc.nat(20),
});

/** What happens between two builds. */
export type Change =
  | { readonly kind: 'edit'; readonly at: number; readonly node: Node }
  | { readonly kind: 'context'; readonly file: number; readonly text: number }
  | { readonly kind: 'base'; readonly text: number }
  | { readonly kind: 'lose-bytes' | 'lose-layers'; readonly share: number }
  | { readonly kind: 'nothing' };

export const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('edit' as const), at: fc.nat(20), node }),
  fc.record({ kind: fc.constant('context' as const), file: fc.nat(2), text: fc.nat(2) }),
  fc.record({ kind: fc.constant('base' as const), text: fc.nat(2) }),
  fc.record({
    kind: fc.constantFrom('lose-bytes' as const, 'lose-layers' as const),
    share: fc.integer({ min: 2, max: 4 }),
  }),
  fc.constant({ kind: 'nothing' as const }),
);

export function graph(nodes: readonly Node[]): Vertex {
  const base = image('base');
  const made: Vertex[] = [base];
  for (const { kind, word, a, b } of nodes) {
    const at = (i: number): VertexInput => out(made[i % made.length] ?? base);
    const [first, second] = [at(a), at(b)];
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
  return made.at(-1) ?? base;
}

export function apply(next: Change, nodes: Node[], disk: FakeDisk): void {
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
