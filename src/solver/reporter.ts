import type { BuildEventSink, Digest, SolvedVertex } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { vertexName } from './names.ts';
import { isLocal } from './source-kind.ts';

/** Tells progress what happens to the vertices of one solve, and remembers it for the result. */
export interface Reporter {
  /** All vertices there are, so that progress can say how many of how many are done. */
  announce(vertices: readonly Vertex[]): void;
  /** The vertex and all it is made from were found, as far as nothing else was said of them. */
  cached(vertex: Vertex, key: string): void;
  started(vertex: Vertex): void;
  completed(vertex: Vertex, key: string): void;
  failed(vertex: Vertex, error: string): void;
  /** The solve ended early: what was begun will not be completed. */
  stop(error: string): void;
  solved(): readonly SolvedVertex[];
}

/** What solves of one engine said of vertices: one that several share is told of once. */
export interface Told {
  readonly announced: Set<Digest>;
  readonly found: Set<Digest>;
  readonly startTimes: Map<Digest, number>;
  /** Solves that are at work on it. */
  readonly atWork: Map<Digest, number>;
  readonly completed: Set<Digest>;
}

export function createTold(): Told {
  return {
    announced: new Set(),
    found: new Set(),
    startTimes: new Map(),
    atWork: new Map(),
    completed: new Set(),
  };
}

/**
 * @param told Shared by the solves of an engine.
 * @param now Milliseconds since the epoch.
 */
export function createReporter(
  events: BuildEventSink,
  keyOf: (vertex: Vertex) => string,
  told: Told = createTold(),
  now: () => number = () => Date.now(),
): Reporter {
  const states = new Map<Digest, SolvedVertex>();
  /** Of this solve. */
  const startTimes = new Map<Digest, number>();
  const running = new Map<Digest, Vertex>();

  const send = (
    vertex: Vertex,
    state: { started?: number; completed?: number; cached?: boolean; error?: string } = {},
  ): void =>
    events({
      type: 'vertex',
      digest: vertex.digest,
      inputs: vertex.inputs.map(({ vertex: input }) => input.digest),
      name: vertexName(vertex),
      ...state,
      location: vertex.metadata.location,
    });

  const markCached = (vertex: Vertex, key: string): void => {
    const time = now();
    states.set(vertex.digest, { digest: vertex.digest, cached: true, key });
    if (told.found.has(vertex.digest) || told.startTimes.has(vertex.digest)) return;
    told.found.add(vertex.digest);
    send(vertex, { started: time, completed: time, cached: true });
  };

  /** How many solves are at work on it besides. */
  const leave = ({ digest }: Vertex): number => {
    const left = (told.atWork.get(digest) ?? 1) - 1;
    told.atWork.set(digest, Math.max(0, left));
    return left;
  };

  const failed = (vertex: Vertex, error: string): void => {
    running.delete(vertex.digest);
    leave(vertex);
    if (told.completed.has(vertex.digest)) return;
    const completed = now();
    send(vertex, { started: told.startTimes.get(vertex.digest) ?? completed, completed, error });
  };

  return {
    announce(vertices) {
      for (const vertex of vertices) {
        if (told.announced.has(vertex.digest)) continue;
        told.announced.add(vertex.digest);
        send(vertex);
      }
    },
    cached(vertex, key) {
      if (startTimes.has(vertex.digest)) return;
      if (states.has(vertex.digest)) {
        states.set(vertex.digest, { digest: vertex.digest, cached: true, key });
        return;
      }
      for (const below of unreported(vertex, (v) => states.has(v.digest) || startTimes.has(v.digest))) {
        // A context is not found, it is looked at.
        if (below !== vertex && !isLocal(below)) markCached(below, keyOf(below));
      }
      markCached(vertex, key);
    },
    started(vertex) {
      const time = now();
      startTimes.set(vertex.digest, time);
      running.set(vertex.digest, vertex);
      const others = told.atWork.get(vertex.digest) ?? 0;
      told.atWork.set(vertex.digest, others + 1);
      if (others > 0 || told.completed.has(vertex.digest)) return;
      told.startTimes.set(vertex.digest, time);
      send(vertex, { started: time });
    },
    completed(vertex, key) {
      running.delete(vertex.digest);
      states.set(vertex.digest, { digest: vertex.digest, cached: false, key });
      if (leave(vertex) > 0 || told.completed.has(vertex.digest)) return;
      told.completed.add(vertex.digest);
      send(vertex, { started: told.startTimes.get(vertex.digest), completed: now() });
    },
    failed,
    stop(error) {
      for (const vertex of running.values()) failed(vertex, error);
    },
    solved: () => [...states.values()],
  };
}

/** The vertex and everything below it that is not known yet, inputs first; without recursion, chains can be long. */
function unreported(target: Vertex, known: (vertex: Vertex) => boolean): readonly Vertex[] {
  const order: Vertex[] = [];
  const seen = new Set<Digest>([target.digest]);
  const stack = [{ vertex: target, next: 0 }];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const input = frame.vertex.inputs[frame.next++]?.vertex;
    if (input === undefined) {
      order.push(frame.vertex);
      stack.pop();
    } else if (!seen.has(input.digest) && !known(input)) {
      seen.add(input.digest);
      stack.push({ vertex: input, next: 0 });
    }
  }
  return order;
}
