import type { BuildEventSink, Digest } from '../../contracts/index.ts';
import { parseOutput } from '../../export/index.ts';
import { isStep, planSolve, type GraphStep, type Planned, type Reason } from '../../solver/index.ts';
import { createBuildRecorder } from './build-record.ts';
import { openCache, parseCacheWords } from '../cache/cache.ts';
import { insecureHosts } from '../cache/cache-words.ts';
import { destinationsOf, insecureRegistries } from '../destinations.ts';
import { explainRunning } from './explain.ts';
import type { BuildOptions } from '../options.ts';
import { withSession, type Session } from '../session.ts';

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
  /** As of a cache that cannot be reached. */
  readonly warnings: readonly string[];
}

/**
 * Says of each step that the target needs whether a build would find or run it, and why. Nothing is run, no layer is
 * pulled; manifests and files that ADD downloads are, as keys are made of them.
 *
 * @param options As for a build. Errors: those of a build that happen before a step runs.
 */
export async function plan(options: BuildOptions): Promise<BuildPlan> {
  const outputs = (options.outputs ?? []).map(parseOutput);
  const cacheWords = parseCacheWords(options);
  const recorder = createBuildRecorder(options);
  const warnings: string[] = [];
  const onEvent: BuildEventSink = (event) => {
    if (event.type === 'warning') warnings.push(event.message);
  };
  const insecure = [...insecureHosts(cacheWords.from), ...insecureRegistries(options, outputs)];
  const work = async (session: Session): Promise<BuildPlan> => {
    const { store, worker, events, signal } = session;
    const read = await session.read();
    recorder.dockerfile(read.dockerfile);
    const frontends = await session.convert(read);
    const { remote } = await openCache({ from: cacheWords.from, to: [] }, session);
    const planned = new Map<Digest, Planned>();
    for (const frontend of frontends) {
      recorder.graph(frontend);
      const own = await planSolve(
        frontend.definition,
        { store, worker, remote, trace: recorder.trace },
        {
          signal,
          events,
          noCache: options.noCache === true ? 'all' : new Set<never>(),
          treesOnly: destinationsOf(options, outputs).length === 0,
        },
      );
      for (const vertex of frontend.definition.vertices) {
        const found = own.get(vertex.digest);
        if (found !== undefined) planned.set(vertex.digest, found);
        // For explanations, what would run has run.
        if (found?.status === 'miss') recorder.trace.outcome(vertex, found.bytes ? 'refilled' : 'ran', '');
      }
    }
    const steps = recorder.explained(store)?.graph.steps ?? [];
    const reasons = new Map(
      explainRunning(recorder, store).map((explanation) => [explanation.step, explanation.reasons]),
    );
    const told = steps.flatMap((step, i) =>
      isStep(step) ? plannedStep(step, planned, reasons.get(i) ?? [], steps) : [],
    );
    return { steps: told, cached: told.every(({ status }) => status === 'hit'), warnings };
  };
  return await withSession({ ...options, onEvent }, work, { listsContent: true, insecure });
}

function plannedStep(
  { digest, name, line, position }: GraphStep,
  all: ReadonlyMap<Digest, Planned>,
  reasons: readonly Reason[],
  steps: readonly GraphStep[],
): PlannedStep {
  const about = { name, line, stage: position?.stage };
  const planned = all.get(digest);
  // What is found but still elsewhere has to be pulled before it can be read.
  const waits = (step: GraphStep): 'run' | 'pull' =>
    isStep(step) && all.get(step.digest)?.status !== 'hit' ? 'run' : 'pull';
  switch (planned?.status) {
    case 'miss':
      return { ...about, status: 'miss', needed: true, reasons, until: [] };
    case 'unknown': {
      const until = planned.until.flatMap((waiting) => steps.find((step) => step.digest === waiting) ?? []);
      return {
        ...about,
        status: 'unknown',
        needed: true,
        reasons: [],
        until: until.map((step) => ({ kind: waits(step), name: step.name, line: step.line })),
      };
    }
    case 'hit':
    case 'source':
    case undefined:
      return { ...about, status: 'hit', needed: planned?.status === 'hit' && planned.needed, reasons: [], until: [] };
  }
}
