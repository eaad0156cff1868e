/**
 * Doubts the cache: some steps that were found are run again on what they were made from, and the results compared. A step
 * whose two new runs differ from each other is not deterministic; one whose new runs agree, but not with what was found, was
 * found wrongly (or depends on what no key knows: the network, the date).
 */
import { setTimeout } from 'node:timers/promises';
import {
  BuildError,
  type BuildEventSink,
  type Digest,
  type EmbeddedEngine,
  type Layer,
  type Snapshot,
  type Worker,
} from '../../contracts/index.ts';
import type { FrontendResult } from '../../frontend/index.ts';
import { definition, type Vertex } from '../../llb/index.ts';
import {
  createEngine,
  isStep,
  type ExplainedBuild,
  type FileDifference,
  type RecordInputs,
} from '../../solver/index.ts';
import type { CacheRecord, Store } from '../../store/index.ts';
import type { BuildRecorder } from './build-record.ts';
import { compareLayers } from './compare-layers.ts';
import type { Session } from '../session.ts';
import { step } from './steps.ts';

/** One step that was made again. */
export interface VerifiedStep {
  readonly name: string;
  readonly line?: number | undefined;
  /** `skipped`: it could not be made again; `note` says why. */
  readonly verdict: 'same' | 'non-deterministic' | 'wrong-key' | 'skipped';
  /** What differs from the result in the cache. */
  readonly differences: readonly FileDifference[];
  readonly note?: string | undefined;
}

/** A number of steps; `some`: one in ten, at least one. */
export type VerifySample = number | 'all' | 'some';

/** {@link verifyHits} as a step of the build; what is not deterministic is warned of. */
export async function verifyBuild(
  sample: VerifySample,
  recorder: BuildRecorder,
  frontends: readonly FrontendResult[],
  { store, worker, signal, events }: Session,
): Promise<readonly VerifiedStep[]> {
  const build = recorder.explained(store);
  if (build === undefined) return [];
  const vertices = frontends.flatMap(({ definition: { vertices: own } }) => own);
  return await step(events, '[internal] verifying cached steps', async (bound) => {
    const verified = await verifyHits(vertices, build, sample, {
      store,
      worker,
      engine: createEngine({ store, worker }),
      signal,
    });
    for (const { name, verdict, differences } of verified) {
      if (verdict !== 'non-deterministic') continue;
      const message = `${name} is not deterministic: run again, it makes other files (${pathsText(differences)})`;
      bound({ type: 'warning', message });
    }
    return verified;
  });
}

/** A few paths, and how many more. */
export function pathsText(differences: readonly FileDifference[], shown = 3): string {
  const paths = [...new Set(differences.map(({ path }) => `/${path}`))];
  const more = paths.length - shown;
  return `${paths.slice(0, shown).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

export interface VerifyDeps {
  readonly store: Store;
  readonly worker: Worker;
  readonly engine: EmbeddedEngine;
  readonly signal: AbortSignal;
}

/** Without a number: one step in ten, at least one. */
const SHARE = 10;
/** Two runs are so far apart that the clock shows another second, milliseconds. */
const PAUSE = 1100;

/**
 * Makes steps again that this build found.
 *
 * @param vertices Of the build's graph.
 * @param build The build as it is recorded.
 */
export async function verifyHits(
  vertices: readonly Vertex[],
  build: ExplainedBuild,
  sample: VerifySample,
  deps: VerifyDeps,
): Promise<readonly VerifiedStep[]> {
  const anew = standingOnNew(vertices);
  const found = build.graph.steps.flatMap((step, i): Hit[] => {
    const vertex = vertices.find(({ digest }) => digest === step.digest);
    const { outcome, key } = build.runs[i] ?? {};
    const isHit = (outcome === undefined || outcome === 'found') && (step.kind === 'exec' || step.kind === 'file');
    if (!isHit || !isStep(step) || vertex === undefined || anew.has(vertex.digest)) return [];
    const record = deps.store.findRecord(key ?? step.definition);
    return record === undefined ? [] : [{ vertex, record, name: step.name, line: step.line }];
  });
  const verified: VerifiedStep[] = [];
  for (const hit of choose(found, sample)) {
    deps.signal.throwIfAborted();
    verified.push({ name: hit.name, line: hit.line, ...(await verify(hit, deps)) });
  }
  return verified;
}

interface Hit {
  readonly vertex: Vertex;
  readonly record: CacheRecord;
  readonly name: string;
  readonly line: number | undefined;
}

/** In the order of the graph. */
function choose(hits: readonly Hit[], sample: VerifySample): readonly Hit[] {
  if (sample === 'all') return hits;
  const wanted = sample === 'some' ? Math.ceil(hits.length / SHARE) : sample;
  const left = [...hits.keys()];
  const chosen = new Set<number>();
  while (chosen.size < wanted && left.length > 0) {
    for (const i of left.splice(Math.floor(Math.random() * left.length), 1)) chosen.add(i);
  }
  return hits.filter((_, i) => chosen.has(i));
}

/** Steps that stand on some that --no-cache-filter makes anew: asking for their inputs would make those once more. */
function standingOnNew(vertices: readonly Vertex[]): ReadonlySet<Digest> {
  const standing = new Set<Digest>();
  for (const { digest, metadata, inputs } of vertices) {
    if (metadata.ignoreCache === true || inputs.some(({ vertex }) => standing.has(vertex.digest))) standing.add(digest);
  }
  return standing;
}

type Verdict = Pick<VerifiedStep, 'verdict' | 'differences' | 'note'>;

async function verify(hit: Hit, deps: VerifyDeps): Promise<Verdict> {
  try {
    const inputs = await recordedInputs(hit, deps);
    if (inputs === undefined) return skipped('what it was made from is not in the store any more');
    const known = await layersOf(hit.record, deps);
    if (known === undefined) return skipped('its result is not in the store any more');
    const again = await runAgain(hit, inputs, deps);
    const differences = await compareOutputs(known, again);
    if (differences.length === 0) return { verdict: 'same', differences };
    await setTimeout(PAUSE, undefined, { signal: deps.signal });
    const third = await runAgain(hit, inputs, deps);
    const agree = (await compareOutputs(again, third)).length === 0;
    return { verdict: agree ? 'wrong-key' : 'non-deterministic', differences };
  } catch (error) {
    if (deps.signal.aborted || !(error instanceof BuildError)) throw error;
    return skipped(`it cannot be made again: ${error.message}`);
  }
}

function skipped(note: string): Verdict {
  return { verdict: 'skipped', differences: [], note };
}

/** Its inputs with their bytes, if they are those that the record was made from. */
async function recordedInputs(
  { vertex, record }: Hit,
  { engine, worker, signal }: VerifyDeps,
): Promise<readonly Snapshot[] | undefined> {
  const recorded = JSON.parse(record.inputs) as RecordInputs;
  const snapshots: Snapshot[] = [];
  for (const [i, input] of vertex.inputs.entries()) {
    const was = recorded.inputs[i];
    const solved = await engine.solve(definition(input), { signal, events: quiet, noCache: new Set() });
    const { key } = solved.vertices.find(({ digest }) => digest === input.vertex.digest) ?? {};
    const context = { signal, events: quiet, location: vertex.metadata.location };
    const content =
      was?.content === undefined ? undefined : await worker.contentKey(vertex, i, solved.snapshot, context);
    if (was === undefined || content !== was.content || (was.content === undefined && key !== was.record)) {
      return undefined;
    }
    snapshots.push(solved.snapshot);
  }
  return snapshots;
}

const quiet: BuildEventSink = () => undefined;

async function layersOf(record: CacheRecord, { worker }: VerifyDeps): Promise<readonly Snapshot[] | undefined> {
  const snapshots: Snapshot[] = [];
  for (const layers of record.outputs) {
    const opened = await worker.open(layers);
    if (opened === undefined) return undefined;
    snapshots.push(opened.snapshot);
  }
  return snapshots;
}

async function runAgain(
  { vertex }: Hit,
  inputs: readonly Snapshot[],
  { worker, signal }: VerifyDeps,
): Promise<readonly Snapshot[]> {
  return await worker.run(vertex, inputs, { signal, events: quiet, location: vertex.metadata.location });
}

/** What both stand on is the same; above it layers are compared one by one. */
async function compareOutputs(
  before: readonly Snapshot[],
  after: readonly Snapshot[],
): Promise<readonly FileDifference[]> {
  const differences: FileDifference[] = [];
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const [a, b] = [before[i]?.layers ?? [], after[i]?.layers ?? []];
    let shared = 0;
    while (shared < Math.min(a.length, b.length) && a[shared]?.id === b[shared]?.id) shared++;
    for (let j = shared; j < Math.max(a.length, b.length); j++) {
      differences.push(...(await compareLayers(a[j] ?? NO_LAYER, b[j] ?? NO_LAYER)));
    }
  }
  return differences;
}

const NO_LAYER: Pick<Layer, 'tree' | 'digests'> = { tree: async () => new Map(), digests: async () => [] };
