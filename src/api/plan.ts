import { parseOutput } from '../export/index.ts';
import { isStep, planSolve, type GraphStep, type Planned, type Reason } from '../solver/index.ts';
import { createBuildRecorder } from './build-record.ts';
import { destinationsOf } from './destinations.ts';
import { explainRunning } from './explain.ts';
import type { BuildOptions } from './options.ts';
import { withSession } from './session.ts';

/** What would become of one step. */
export interface PlannedStep {
  readonly name: string;
  /** In the Dockerfile. */
  readonly line?: number | undefined;
  readonly stage?: string | undefined;
  /** `unknown`: it depends on what steps write that have to run first, or on an image that was not pulled yet. */
  readonly status: 'hit' | 'miss' | 'unknown';
  /** False: nobody would look, as what stands on it is found. */
  readonly needed: boolean;
  /** Of a miss. */
  readonly reasons: readonly Reason[];
  /** Of an unknown one: what has to happen first. */
  readonly until: readonly {
    readonly kind: 'run' | 'pull';
    readonly name: string;
    readonly line?: number | undefined;
  }[];
}

export interface BuildPlan {
  /** In the order of the graph, inputs first. */
  readonly steps: readonly PlannedStep[];
  /** Nothing would run. */
  readonly cached: boolean;
}

/**
 * Says of each step that the target needs whether a build would find or run it, and why. Nothing is run, no layer is
 * pulled; manifests and files that ADD downloads are, as keys are made of them.
 *
 * @param options As for a build. Errors: those of a build that happen before a step runs.
 */
export async function plan(options: BuildOptions): Promise<BuildPlan> {
  const outputs = (options.outputs ?? []).map(parseOutput);
  const recorder = createBuildRecorder(options);
  return await withSession({ ...options, onEvent: undefined }, async (session) => {
    const { store, worker, events, signal } = session;
    const read = await session.read();
    recorder.dockerfile(read.dockerfile);
    // Of several platforms the first.
    const [frontend] = await session.convert(read);
    recorder.graph(frontend);
    const planned = await planSolve(
      frontend.definition,
      { store, worker, trace: recorder.trace },
      {
        signal,
        events,
        noCache: options.noCache === true ? 'all' : new Set<never>(),
        treesOnly: destinationsOf(options, outputs).length === 0,
      },
    );
    // For explanations, what would run has run.
    for (const vertex of frontend.definition.vertices) {
      const found = planned.get(vertex.digest);
      if (found?.status === 'miss') recorder.trace.outcome(vertex, found.bytes ? 'refilled' : 'ran', '');
    }
    const steps = recorder.explained(store)?.graph.steps ?? [];
    const reasons = new Map(
      explainRunning(recorder, store).map((explanation) => [explanation.step, explanation.reasons]),
    );
    const told = steps.flatMap((step, i) =>
      isStep(step) ? plannedStep(step, planned.get(step.digest), reasons.get(i) ?? [], steps) : [],
    );
    return { steps: told, cached: told.every(({ status }) => status === 'hit') };
  });
}

function plannedStep(
  { name, line, position }: GraphStep,
  planned: Planned | undefined,
  reasons: readonly Reason[],
  steps: readonly GraphStep[],
): PlannedStep {
  const about = { name, line, stage: position?.stage };
  switch (planned?.status) {
    case 'miss':
      return { ...about, status: 'miss', needed: true, reasons, until: [] };
    case 'unknown': {
      const until = planned.until.flatMap((digest) => steps.find((step) => step.digest === digest) ?? []);
      return {
        ...about,
        status: 'unknown',
        needed: true,
        reasons: [],
        until: until.map((step) => ({ kind: isStep(step) ? 'run' : 'pull', name: step.name, line: step.line })),
      };
    }
    case 'hit':
    case 'source':
    case undefined:
      return { ...about, status: 'hit', needed: planned?.status === 'hit' && planned.needed, reasons: [], until: [] };
  }
}
