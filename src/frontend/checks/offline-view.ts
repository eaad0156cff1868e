/** The view of a build that asks for no image. */
import { BuildError } from '../../contracts/index.ts';
import type { Dockerfile } from '../../dockerfile/index.ts';
import { globalArgs } from '../global-args.ts';
import { findTarget } from '../graph-checks.ts';
import { reachable, triggersOf } from '../plan.ts';
import { References } from '../references.ts';
import { stageGraph } from '../stage-graph.ts';
import type { StageGraph, StageNode, Step } from '../stage-graph.ts';
import type { FrontendOptions } from '../types.ts';
import { viewBuild } from './index.ts';
import type { BuildView } from './index.ts';

export interface OfflineInput {
  readonly dockerfile: Dockerfile;
  readonly options: FrontendOptions;
  readonly contextNames?: ReadonlySet<string> | undefined;
  /** Look at every stage, not only at those that the target needs. */
  readonly allStages: boolean;
}

/** @throws BuildError `dockerfile`, `stage` for a FROM or a target that cannot be */
export function offlineView({ dockerfile, options, contextNames, allStages }: OfflineInput): BuildView {
  const globals = globalArgs(dockerfile, options);
  const graph = stageGraph(dockerfile, globals, options);
  const target = findTarget(graph, options.target);
  const steps = stepsOfGraph(graph, dockerfile);
  const needed = reachable(target, steps);
  const stages = allStages ? graph.stages : graph.stages.filter((node) => needed.has(node));
  return viewBuild({ dockerfile, options, globals, graph, target, stages, steps, contextNames });
}

/** What instructions name; one that names what cannot be is an error elsewhere, and names nothing here. */
function stepsOfGraph(graph: StageGraph, { file }: Dockerfile): ReadonlyMap<StageNode, readonly Step[]> {
  const names = new References(graph);
  const steps = new Map<StageNode, readonly Step[]>();
  for (const node of graph.stages) {
    const own = node.stage.instructions.map((instruction): Step => {
      const location = { file, ranges: [instruction.range] };
      const step = tolerate(() => names.step(instruction, location, false));
      return step ?? { instruction, sources: [], location, onBuild: false };
    });
    const triggers = tolerate(() =>
      triggersOf(node, steps, new Map()).map((trigger) => names.step(trigger, node.location, true)),
    );
    steps.set(node, [...(triggers ?? []), ...own]);
  }
  return steps;
}

function tolerate<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
