/** Which stages a target needs, on what they stand, and every step of theirs, triggers of ONBUILD included. */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';
import { parseInstruction } from '../dockerfile/index.ts';
import type { Dockerfile, Instruction } from '../dockerfile/index.ts';
import { resolveBase } from './bases.ts';
import type { Base } from './bases.ts';
import { checkCycles, checkSteps } from './graph-checks.ts';
import { References } from './references.ts';
import type { GraphNode, StageGraph, StageNode, Step } from './stage-graph.ts';
import type { FrontendOptions, Resolver } from './types.ts';

export interface Plan {
  /** In file order. */
  readonly stages: readonly StageNode[];
  readonly steps: ReadonlyMap<StageNode, readonly Step[]>;
  /** Of stages that stand on no other, and of images and contexts that are copied from. */
  readonly bases: ReadonlyMap<GraphNode, Base>;
  /** Progress leaves the name of a stage out when there is but one. */
  readonly isSingleStage: boolean;
}

export interface PlanContext {
  readonly dockerfile: Dockerfile;
  readonly graph: StageGraph;
  readonly options: FrontendOptions;
  readonly resolver: Resolver;
}

/**
 * Links names to stages and checks the graph before the resolver is asked for anything; then resolves what the target
 * needs, in parallel, again after triggers of base images have named more.
 *
 * @throws BuildError `stage`, `dockerfile`, or the resolver's.
 */
export async function plan(target: StageNode, context: PlanContext): Promise<Plan> {
  const { dockerfile, graph, options } = context;
  const names = new References(graph);
  const steps = new Map<StageNode, readonly Step[]>();
  for (const node of graph.stages) {
    const own = node.stage.instructions.map((instruction) =>
      names.step(instruction, { file: dockerfile.file, ranges: [instruction.range] }, false),
    );
    steps.set(node, own);
  }
  const isSingleStage = graph.stages.length === 1 && !names.hasExternal;
  const bases = new Map<GraphNode, Base>();
  const triggered = new Set<StageNode>();
  for (;;) {
    checkCycles(graph, steps);
    const needed = reachable(target, steps);
    const stages = graph.stages.filter((node) => needed.has(node));
    for (const node of stages) checkSteps(node, steps.get(node) ?? [], graph, steps, options);
    const unresolved = [...needed].filter(
      (node) => !bases.has(node) && (node.kind === 'external' || node.base === undefined),
    );
    const resolved = await Promise.all(
      unresolved.map(async (node) => [node, await resolveBase(node, context)] as const),
    );
    for (const [node, base] of resolved) bases.set(node, base);
    let namesMore = false;
    for (const node of stages) {
      if (triggered.has(node)) continue;
      triggered.add(node);
      const triggers = triggersOf(node, steps, bases).map((trigger) => names.step(trigger, node.location, true));
      if (triggers.length === 0) continue;
      namesMore ||= triggers.some(({ sources }) => sources.length > 0);
      steps.set(node, [...triggers, ...(steps.get(node) ?? [])]);
    }
    if (!namesMore) return { stages, steps, bases, isSingleStage };
  }
}

/** What a stage needs, itself included. */
export function reachable(target: StageNode, steps: ReadonlyMap<StageNode, readonly Step[]>): ReadonlySet<GraphNode> {
  const found = new Set<GraphNode>();
  const pending: GraphNode[] = [target];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    if (node.kind === 'external') continue;
    if (node.base !== undefined) pending.push(node.base);
    // Nothing of a stage that a context replaces is carried out.
    if (node.context !== undefined) continue;
    for (const { sources } of steps.get(node) ?? []) pending.push(...sources);
  }
  return found;
}

/**
 * What ONBUILD left for a stage to carry out first.
 *
 * @throws BuildError `dockerfile` at FROM for a trigger that is none.
 */
export function triggersOf(
  node: StageNode,
  steps: ReadonlyMap<StageNode, readonly Step[]>,
  bases: ReadonlyMap<GraphNode, Base>,
): readonly Instruction[] {
  return triggersFor(node, steps, bases).map((text) => parseTrigger(text, node.location));
}

/** Of the base image, or of the stage below in this file; never of the one below that. */
function triggersFor(
  node: StageNode,
  steps: ReadonlyMap<StageNode, readonly Step[]>,
  bases: ReadonlyMap<GraphNode, Base>,
): readonly string[] {
  if (node.context !== undefined) return [];
  if (node.base === undefined) return bases.get(node)?.image.config?.OnBuild ?? [];
  return (steps.get(node.base) ?? []).flatMap(({ instruction }) =>
    instruction.name === 'ONBUILD' ? instruction.expression : [],
  );
}

/** A trigger is read with the escape character `\`; its place in this file is FROM. */
function parseTrigger(text: string, location: SourceLocation): Instruction {
  try {
    const instruction = parseInstruction(text);
    if (instruction.name !== 'ONBUILD') return instruction;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    throw new BuildError({ ...error.toInit(), message: `ONBUILD ${text}: ${error.message}`, location });
  }
  throw new BuildError({ code: 'dockerfile', message: `ONBUILD ${text}: a trigger cannot set another one`, location });
}
