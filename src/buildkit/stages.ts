/**
 * Which stages of a build can be made by another node than the rest. Pure. A stage of which others only copy or mount paths
 * can: those paths are all that has to travel. What they share with the rest must not have to run twice.
 */
import type { Digest } from '../contracts/index.ts';
import type { Definition, Vertex, VertexInput } from '../llb/index.ts';

/** A stage that others take paths from. */
export interface MovableStage {
  readonly vertex: Vertex;
  /** Absolute, as the instructions name them, wildcards in them. */
  readonly paths: readonly string[];
}

/** Stages that share steps: they belong on one machine. */
export interface StageGroup {
  readonly stages: readonly MovableStage[];
  /** RUN steps that the group needs. */
  readonly steps: number;
}

/** Groups that have no RUN step in common, with each other or with the rest; those with most steps first. */
export function independentStages(graph: Definition): readonly StageGroup[] {
  const taken = takenPaths(graph);
  const canMove = (vertex: Vertex): readonly string[] | undefined => {
    const paths = vertex === graph.result?.vertex ? undefined : taken.get(vertex.digest);
    return paths !== undefined && paths !== 'whole' && stepsOf(vertex).size > 0 ? [...paths] : undefined;
  };
  const rest = new Set<Digest>();
  const outer = new Map<Digest, MovableStage>();
  const visit = (vertex: Vertex): void => {
    const paths = canMove(vertex);
    if (paths !== undefined) outer.set(vertex.digest, { vertex, paths });
    else if (!rest.has(vertex.digest)) {
      rest.add(vertex.digest);
      for (const input of vertex.inputs) visit(input.vertex);
    }
  };
  if (graph.result !== undefined) visit(graph.result.vertex);

  const groups: { stages: MovableStage[]; steps: Set<Digest> }[] = [];
  for (const stage of outer.values()) {
    const group = { stages: [stage], steps: new Set(stepsOf(stage.vertex)) };
    for (const other of groups.filter(({ steps }) => haveCommon(steps, group.steps))) {
      groups.splice(groups.indexOf(other), 1);
      group.stages.unshift(...other.stages);
      for (const step of other.steps) group.steps.add(step);
    }
    groups.push(group);
  }
  return groups
    .filter(({ steps }) => !haveCommon(steps, rest))
    .map(({ stages, steps }): StageGroup => ({ stages, steps: steps.size }))
    .sort((a, b) => b.steps - a.steps);
}

/**
 * Deals groups out: the first goes to the first node, unless the rest has steps of its own that keep that one busy.
 *
 * @param nodes The first builds the rest.
 * @returns parallel to the groups
 */
export function placeGroups<Node>(
  graph: Definition,
  groups: readonly StageGroup[],
  nodes: readonly Node[],
): readonly Node[] {
  const moved = new Set(groups.flatMap(({ stages }) => stages.map(({ vertex }) => vertex.digest)));
  const isBusy = stepsBefore(graph, moved).length > 0;
  return groups.flatMap((_, i) => nodes[(i + (isBusy ? 1 : 0)) % nodes.length] ?? []);
}

/** What can be made before the moved stages are there: the last results that need none of them, if they need any steps. */
export function stepsBefore(graph: Definition, moved: ReadonlySet<Digest>): readonly VertexInput[] {
  const waits = new Map<Digest, boolean>();
  for (const { digest, inputs } of graph.vertices) {
    waits.set(digest, moved.has(digest) || inputs.some(({ vertex }) => waits.get(vertex.digest) === true));
  }
  const found = new Map<string, VertexInput>();
  for (const { digest, inputs } of graph.vertices) {
    // What a moved stage needs is made where that is made.
    if (waits.get(digest) !== true || moved.has(digest)) continue;
    for (const input of inputs) {
      const { vertex, index } = input;
      if (waits.get(vertex.digest) !== true && stepsOf(vertex).size > 0) found.set(`${vertex.digest} ${index}`, input);
    }
  }
  return [...found.values()];
}

/** What is taken of each vertex by all others together. */
function takenPaths(graph: Definition): ReadonlyMap<Digest, ReadonlySet<string> | 'whole'> {
  const taken = new Map<Digest, Set<string> | 'whole'>();
  for (const user of graph.vertices) {
    for (const [i, { vertex, index }] of user.inputs.entries()) {
      const paths = index === 0 ? pathsTaken(user, i) : undefined;
      const before = taken.get(vertex.digest) ?? new Set();
      if (paths === undefined || before === 'whole') taken.set(vertex.digest, 'whole');
      else taken.set(vertex.digest, new Set([...before, ...paths]));
    }
  }
  return taken;
}

/** Undefined when the vertex stands on the input, or takes more of it than paths that can be named. */
function pathsTaken({ op }: Vertex, input: number): readonly string[] | undefined {
  const paths: string[] = [];
  if (op.kind === 'file') {
    for (const { action, input: base, secondaryInput } of op.actions) {
      if (base === input) return undefined;
      if ('owner' in action && [action.owner?.user, action.owner?.group].some((ref) => ref?.input === input))
        return undefined;
      if (secondaryInput !== input) continue;
      if (action.kind !== 'copy' || action.includePatterns.length > 0 || isRoot(action.src)) return undefined;
      paths.push(action.src);
    }
    return paths;
  }
  if (op.kind !== 'exec') return undefined;
  for (const { input: mounted, type, selector, readonly, output, dest } of op.mounts) {
    if (mounted !== input) continue;
    const isPart = type.kind === 'bind' && readonly && output === -1 && dest !== '/';
    if (!isPart || selector === undefined || isRoot(selector)) return undefined;
    // A mount takes its path as it is.
    paths.push(selector.replace(/[\\*?[]/g, '\\$&'));
  }
  return paths;
}

function haveCommon(a: ReadonlySet<Digest>, b: ReadonlySet<Digest>): boolean {
  for (const digest of a) if (b.has(digest)) return true;
  return false;
}

function isRoot(path: string): boolean {
  return path.split('/').every((part) => part === '' || part === '.' || part === '..');
}

const known = new WeakMap<Vertex, ReadonlySet<Digest>>();

/** The RUN steps that a vertex needs, itself among them. */
function stepsOf(vertex: Vertex): ReadonlySet<Digest> {
  let steps = known.get(vertex);
  if (steps === undefined) {
    const all = new Set(vertex.op.kind === 'exec' ? [vertex.digest] : []);
    for (const input of vertex.inputs) for (const step of stepsOf(input.vertex)) all.add(step);
    known.set(vertex, (steps = all));
  }
  return steps;
}
