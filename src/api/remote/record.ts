/**
 * The record of a build on a daemon. The daemon says which steps ran and which were cached, not why; what can be known
 * here is taken down as for a build of our own: each step's op, and the contents of what it reads of this machine.
 */
import { createHash } from 'node:crypto';
import type { BuildEvent, Digest, WorkContext } from '../../contracts/index.ts';
import type { FrontendResult } from '../../frontend/index.ts';
import type { Vertex, VertexInput } from '../../llb/index.ts';
import { opIdentity } from '../../solver/index.ts';
import { createSources } from '../../source/index.ts';
import { openStore, type Store } from '../../store/index.ts';
import { createBuildRecorder, type BuildRecorder } from '../records/build-record.ts';
import type { ContextDirectory } from '../inputs/contexts.ts';
import type { BuildOptions } from '../options.ts';

export interface RemoteRecord {
  readonly recorder: BuildRecorder;
  /** The contexts, by local source name: filled while the build reads them. */
  readonly directories: Map<string, ContextDirectory>;
  /** A graph of the build. */
  graph(frontend: FrontendResult): void;
  /** Of all graphs so far, each once. */
  vertices(): readonly Vertex[];
  /** Writes it. Never throws: a record is not worth a build. */
  close(failure: unknown): Promise<void>;
}

export async function openRemoteRecord(options: BuildOptions): Promise<RemoteRecord> {
  const recorder = createBuildRecorder(options);
  const directories = new Map<string, ContextDirectory>();
  const vertices = new Map<Digest, Vertex>();
  const ran = new Map<Digest, 'ran' | 'found'>();
  const listening: BuildRecorder = {
    ...recorder,
    sink(event: BuildEvent) {
      recorder.sink(event);
      if (event.type !== 'vertex' || event.completed === undefined || event.error !== undefined) return;
      ran.set(event.digest, event.cached === true ? 'found' : 'ran');
    },
  };
  return {
    recorder: listening,
    directories,
    graph(frontend) {
      recorder.graph(frontend);
      for (const vertex of frontend.definition.vertices) vertices.set(vertex.digest, vertex);
    },
    vertices: () => [...vertices.values()],
    async close(failure) {
      // Records live in the state directory, which is made for Linux.
      if (process.platform !== 'linux') return;
      try {
        const store = await openStore({ root: options.root ?? (options.env ?? process.env)['SLIPWAY_ROOT'] });
        try {
          await trace([...vertices.values()], ran, recorder, { store, directories, options });
          if (options.explain !== undefined) {
            const { explainRunning } = await import('../records/explain.ts');
            options.explain(explainRunning(recorder, store));
          }
          recorder.save(store, failure);
        } finally {
          store.close();
        }
      } catch {
        // A state directory that cannot be opened is the embedded engine's to complain about.
      }
    },
  };
}

interface TraceRooms {
  readonly store: Store;
  readonly directories: ReadonlyMap<string, ContextDirectory>;
  readonly options: BuildOptions;
}

/** Tells the recorder what our own solver would have: ops, contents of what was read here, keys that follow from them. */
async function trace(
  vertices: readonly Vertex[],
  outcomes: ReadonlyMap<Digest, 'ran' | 'found'>,
  recorder: BuildRecorder,
  { store, directories, options }: TraceRooms,
): Promise<void> {
  const { createWorker } = await import('../../worker/index.ts');
  const { createRegistry } = await import('../../registry/index.ts');
  const signal = new AbortController().signal;
  const events = (): void => undefined;
  const registry = createRegistry({ env: options.env, signal });
  const sources = createSources({ store, registry, contexts: directories, events, signal, env: options.env });
  const noExecutor = {
    exec: async () => await Promise.reject(new Error('nothing runs here')),
    materialize: async () => await Promise.reject(new Error('nothing runs here')),
    close: async () => await Promise.resolve(),
  };
  const worker = createWorker({
    store,
    sources,
    executor: noExecutor,
    buildId: recorder.id,
    secrets: () => undefined,
    ssh: () => undefined,
    shmSize: undefined,
    listsContent: true,
  });
  const contentOf = async (vertex: Vertex, index: number, input: VertexInput): Promise<Digest | undefined> => {
    const { op } = input.vertex;
    if (op.kind !== 'source' || !op.identifier.startsWith('local://')) return undefined;
    const context: WorkContext = { signal, events, location: vertex.metadata.location };
    const snapshot = await sources.snapshot(input.vertex, context);
    return await worker.contentKey(vertex, index, snapshot, context).catch(() => undefined);
  };
  try {
    recorder.trace.keys(new Map(vertices.map(({ digest }) => [digest, digest])));
    const keys = new Map<Digest, string>();
    for (const vertex of vertices) {
      const content: (Digest | undefined)[] = [];
      for (const [i, input] of vertex.inputs.entries()) content.push(await contentOf(vertex, i, input));
      const records = vertex.inputs.map((input) => keys.get(input.vertex.digest) ?? input.vertex.digest);
      const op = opIdentity(vertex, (input) => content[input] !== undefined);
      const source = vertex.op.kind === 'source' ? vertex.op.identifier : undefined;
      const parts = [op, vertex.inputs.map(({ index }, i) => [content[i] ?? records[i], index]), source];
      const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
      keys.set(vertex.digest, key);
      const outcome = outcomes.get(vertex.digest);
      if (outcome === undefined) continue;
      recorder.trace.lookup(vertex, { key, op, content, records, source });
      recorder.trace.outcome(vertex, outcome, key);
    }
  } finally {
    await sources.close();
    await registry.close();
  }
}
