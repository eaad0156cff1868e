import type { Digest, EmbeddedEngine, Peek, SolveOptions, SolveResult, Worker } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import type { Definition, Vertex } from '../llb/index.ts';
import type { Store } from '../store/index.ts';
import { cancelled } from './errors.ts';
import { createFlights } from './flights.ts';
import { createLimiter, type Limiter } from './limits.ts';
import type { Solved } from './records.ts';
import type { RemoteRecords } from './remote-records.ts';
import { createTold } from './reporter.ts';
import type { SolveTrace } from './trace.ts';
import { Walk } from './walk.ts';

export interface EngineDeps {
  readonly store: Store;
  readonly worker: Worker;
  /** For records of builds. */
  readonly trace?: SolveTrace | undefined;
  /** Results of other machines. */
  readonly remote?: RemoteRecords | undefined;
}

/**
 * The engine that solves definitions on this machine. One engine may solve several definitions at once (one a
 * platform): what they share runs once.
 */
export function createEngine({ store, worker, trace, remote }: EngineDeps): EmbeddedEngine {
  const flights = createFlights<Solved>(store);
  const told = createTold();
  const anew = new Map<string, Solved>();
  /** The bound is that of all solves together. */
  const limiters = new Map<number | undefined, Limiter>();
  const limiterOf = (bound: number | undefined): Limiter => {
    const limiter = limiters.get(bound) ?? createLimiter(bound);
    limiters.set(bound, limiter);
    return limiter;
  };
  return {
    name: 'embedded',
    async solve(definition: Definition, options: SolveOptions): Promise<SolveResult> {
      if (options.signal.aborted) throw cancelled();
      const { result } = definition;
      if (result === undefined) return scratch(worker);

      const vertices = neededVertices(definition, result.vertex);
      const byDigest = new Map(vertices.map((vertex) => [vertex.digest, vertex]));
      const walk = new Walk(
        { store, worker, flights, told, anew, runs: limiterOf(options.maxParallelRuns), trace, remote },
        vertices,
        options,
      );
      const peek: Peek = async (edge) => {
        const vertex = byDigest.get(edge.vertex);
        return vertex === undefined ? undefined : (await walk.peek(vertex))?.snapshots[edge.index];
      };
      const solved = await walk.solve(result.vertex).catch(async (error: unknown) => {
        throw error instanceof BuildError && options.onFailure !== undefined
          ? await options.onFailure(error, peek)
          : error;
      });
      const snapshot = solved.snapshots[result.index];
      if (snapshot === undefined) {
        throw new BuildError({ code: 'internal', message: `the result has no output ${result.index}` });
      }
      return {
        snapshot,
        peek,
        records: () => walk.kept(),
        get vertices() {
          return walk.vertices;
        },
      };
    },
  };
}

/** An image without layers: nothing to solve. */
async function scratch(worker: Worker): Promise<SolveResult> {
  const opened = await worker.open([]);
  if (opened === undefined) throw new BuildError({ code: 'internal', message: 'an empty image cannot be opened' });
  return { snapshot: opened.snapshot, peek: async () => undefined, records: async () => [], vertices: [] };
}

/** The vertices that `target` is made of, in the definition's order: inputs first. */
function neededVertices({ vertices }: Definition, target: Vertex): readonly Vertex[] {
  const needed = new Set<Digest>([target.digest]);
  const stack = [target];
  for (let vertex = stack.pop(); vertex !== undefined; vertex = stack.pop()) {
    for (const input of vertex.inputs) {
      if (needed.has(input.vertex.digest)) continue;
      needed.add(input.vertex.digest);
      stack.push(input.vertex);
    }
  }
  return vertices.filter(({ digest }) => needed.has(digest));
}
