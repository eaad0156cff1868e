/**
 * A farm of BuildKit nodes behind one builder, as a queueing model: builds arrive, each goes to a node by the routing that
 * the product has (`assignPlatforms`), takes as long as what the node still knows of its repository allows, nodes are
 * lost and come back. Only arithmetic; nothing is built. Its assumptions are `ASSUMPTIONS` and docs/scale.md.
 */
import { assignPlatforms } from '../../src/buildkit/index.ts';
import { createRandom } from '../random.ts';

/** What is not varied. */
export const ASSUMPTIONS = {
  repositories: 300,
  /** Popularity falls as 1 / rank^s (Zipf). */
  zipf: 0.9,
  /** This share of a day's builds comes in working hours, evenly. */
  workingShare: 0.85,
  workingHours: [9, 18],
  /** Builds at once on a node: more wait for their turn. */
  slots: 4,
  /** What runs anew in a build though all that is known is at hand: seconds, log-normal by median and sigma. */
  work: { median: 45, sigma: 0.7 },
  /** Without any cache all steps run. */
  coldFactor: 5,
  /** What a build fetches from the registry cache. Bytes a second. */
  fetched: 1.5e9,
  bandwidth: 100e6,
  /** A repository's cache on a node: bytes, log-normal. */
  cache: { median: 5e9, sigma: 0.6 },
  /** What garbage collection leaves on a node. */
  disk: 150e9,
  /** A lost node is back after so many seconds. */
  outage: 180,
  days: 2,
  seed: 7,
} as const;

export interface Farm {
  readonly buildsPerDay: number;
  readonly nodes: number;
  readonly routing: 'hash' | 'random' | 'idlest';
  /** Of each node, a day. */
  readonly losses: number;
  /** A node comes back with its disk (a persistent volume), not with an empty one. */
  readonly keepsDisk: boolean;
  readonly registryCache: boolean;
}

export interface Outcome {
  /** From the start of the command to its end, waiting and second tries included. Seconds. */
  readonly median: number;
  readonly p95: number;
  /** Share of builds that found their repository's cache on the node. */
  readonly local: number;
  /** Share of the slots that is in use in working hours. */
  readonly busy: number;
  /** From the registry cache, a day. Bytes. */
  readonly fetched: number;
  /** Builds that were begun again as their node was lost. */
  readonly repeated: number;
  readonly nodeHoursPerThousand: number;
}

interface Build {
  readonly arrived: number;
  readonly repository: number;
  readonly work: number;
}

interface Node {
  readonly name: string;
  readonly running: Set<Build>;
  readonly waiting: Build[];
  /** Repositories and their bytes, the least lately used first. */
  readonly cache: Map<number, number>;
  up: boolean;
}

const DAY = 86_400;
const HOUR = 3600;

/** The first day is not counted: caches fill. */
export function simulate(farm: Farm): Outcome {
  const { slots, days, seed } = ASSUMPTIONS;
  const random = createRandom(seed);
  const uniform = (): number => (random.below(0x7fffffff) + 0.5) / 0x7fffffff;
  const logNormal = ({ median, sigma }: { readonly median: number; readonly sigma: number }): number =>
    median * Math.exp(sigma * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
  const pick = zipfPicker(uniform);
  const sizes = Array.from({ length: ASSUMPTIONS.repositories }, () => logNormal(ASSUMPTIONS.cache));
  const inRegistry = new Set<number>();
  const nodes = Array.from({ length: farm.nodes }, (_, i): Node => ({
    name: `node${i}`,
    running: new Set(),
    waiting: [],
    cache: new Map(),
    up: true,
  }));
  const agenda = createAgenda();
  const times: number[] = [];
  const count = { builds: 0, local: 0, fetched: 0, repeated: 0, busy: 0 };
  const counts = (): boolean => agenda.now() >= DAY;

  const route = (repository: number): Node | undefined => {
    const up = nodes.filter((node) => node.up);
    if (farm.routing === 'random') return up[Math.floor(uniform() * up.length)];
    const load = (node: Node): number => node.running.size + node.waiting.length;
    if (farm.routing === 'idlest') return up.toSorted((a, b) => load(a) - load(b))[0];
    if (up.length === 0) return undefined;
    const platforms = ['linux/amd64'];
    const states = up.map((node) => ({ name: node.name, platforms, native: platforms, builds: load(node) }));
    const chosen = assignPlatforms(platforms, states, `repository ${repository}`)[0]?.nodes[0];
    return up.find(({ name }) => name === chosen);
  };

  const submit = (build: Build): void => {
    const node = route(build.repository);
    // Nobody is there: it is tried again.
    if (node === undefined) agenda.in(10, () => submit(build));
    else if (node.running.size >= slots) node.waiting.push(build);
    else start(build, node);
  };

  const start = (build: Build, node: Node): void => {
    node.running.add(build);
    const began = agenda.now();
    agenda.in(duration(build, node), () => {
      // The node was lost meanwhile.
      if (!node.running.delete(build)) return;
      if (counts()) times.push(agenda.now() - build.arrived);
      count.busy += overlapOfWork(began, agenda.now());
      const next = node.waiting.shift();
      if (next !== undefined) start(next, node);
    });
  };

  const duration = ({ repository, work }: Build, node: Node): number => {
    const isLocal = node.cache.delete(repository);
    node.cache.set(repository, sizes[repository] ?? 0);
    collect(node.cache);
    if (counts()) {
      count.builds++;
      if (isLocal) count.local++;
    }
    if (isLocal) return work;
    const isKnown = farm.registryCache && inRegistry.has(repository);
    inRegistry.add(repository);
    if (isKnown && counts()) count.fetched += ASSUMPTIONS.fetched;
    return isKnown ? work + ASSUMPTIONS.fetched / ASSUMPTIONS.bandwidth : work * ASSUMPTIONS.coldFactor;
  };

  const lose = (node: Node): void => {
    const interrupted = [...node.running, ...node.waiting.splice(0)];
    node.running.clear();
    node.up = false;
    if (!farm.keepsDisk) node.cache.clear();
    if (counts()) count.repeated += interrupted.length;
    for (const build of interrupted) submit(build);
    agenda.in(ASSUMPTIONS.outage, () => (node.up = true));
    agenda.in(-Math.log(uniform()) * (DAY / farm.losses), () => lose(node));
  };

  for (const at of arrivals(farm.buildsPerDay, uniform)) {
    const build = { arrived: at, repository: pick(), work: logNormal(ASSUMPTIONS.work) };
    agenda.in(at, () => submit(build));
  }
  if (farm.losses > 0)
    for (const node of nodes) agenda.in(-Math.log(uniform()) * (DAY / farm.losses), () => lose(node));
  agenda.run(days * DAY + 6 * HOUR);

  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * times.length)] ?? Infinity;
  const [from, to] = ASSUMPTIONS.workingHours;
  return {
    median: at(0.5),
    p95: at(0.95),
    local: count.local / count.builds,
    busy: count.busy / ((days - 1) * (to - from) * HOUR * farm.nodes * slots),
    fetched: count.fetched / (days - 1),
    repeated: count.repeated,
    nodeHoursPerThousand: (farm.nodes * 24) / (farm.buildsPerDay / 1000),
  };
}

/** Seconds of a span that lie in the working hours of the days that count. */
function overlapOfWork(start: number, end: number): number {
  const [from, to] = ASSUMPTIONS.workingHours;
  let sum = 0;
  for (let day = 1; day < ASSUMPTIONS.days; day++) {
    const [a, b] = [day * DAY + from * HOUR, day * DAY + to * HOUR];
    sum += Math.max(0, Math.min(end, b) - Math.max(start, a));
  }
  return sum;
}

/** Poisson, by thinning: as many as in working hours all the time, of which at night only some are kept. */
function arrivals(perDay: number, uniform: () => number): readonly number[] {
  const { days, workingHours, workingShare } = ASSUMPTIONS;
  const [from, to] = workingHours;
  const busy = (perDay * workingShare) / ((to - from) * HOUR);
  const quiet = (perDay * (1 - workingShare)) / (DAY - (to - from) * HOUR);
  const found: number[] = [];
  for (let at = -Math.log(uniform()) / busy; at < days * DAY; at -= Math.log(uniform()) / busy) {
    const hour = (at % DAY) / HOUR;
    if ((hour >= from && hour < to) || uniform() < quiet / busy) found.push(at);
  }
  return found;
}

function zipfPicker(uniform: () => number): () => number {
  const sums: number[] = [];
  for (let rank = 1, sum = 0; rank <= ASSUMPTIONS.repositories; rank++)
    sums.push((sum += 1 / rank ** ASSUMPTIONS.zipf));
  const total = sums.at(-1) ?? 0;
  return () => {
    const drawn = uniform() * total;
    return sums.findIndex((sum) => sum >= drawn);
  };
}

/** What was used least lately goes first. */
function collect(cache: Map<number, number>): void {
  let total = [...cache.values()].reduce((sum, bytes) => sum + bytes, 0);
  for (const [repository, bytes] of cache) {
    if (total <= ASSUMPTIONS.disk || cache.size === 1) return;
    cache.delete(repository);
    total -= bytes;
  }
}

interface Agenda {
  now(): number;
  in(seconds: number, action: () => void): void;
  run(until: number): void;
}

/** What happens when; a binary heap, ties in the order of their making. */
function createAgenda(): Agenda {
  type Entry = readonly [number, number, () => void];
  const heap: Entry[] = [];
  let now = 0;
  let made = 0;
  const before = (a: Entry | undefined, b: Entry | undefined): boolean =>
    a !== undefined && b !== undefined && (a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]));
  const swap = (i: number, j: number): void => {
    const [a, b] = [heap[i], heap[j]];
    if (a !== undefined && b !== undefined) [heap[i], heap[j]] = [b, a];
  };
  const take = (): Entry | undefined => {
    swap(0, heap.length - 1);
    const first = heap.pop();
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      const least = before(heap[right], heap[left]) ? right : left;
      if (!before(heap[least], heap[i])) return first;
      swap(i, least);
      i = least;
    }
  };
  return {
    now: () => now,
    in(seconds, action) {
      heap.push([now + seconds, made++, action]);
      for (let i = heap.length - 1; i > 0;) {
        const parent = (i - 1) >> 1;
        if (!before(heap[i], heap[parent])) return;
        swap(i, parent);
        i = parent;
      }
    },
    run(until) {
      while ((heap[0]?.[0] ?? Infinity) <= until) {
        const entry = take();
        if (entry === undefined) return;
        now = entry[0];
        entry[2]();
      }
    },
  };
}
