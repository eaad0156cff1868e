import { compareBuilds, type ExplainedBuild, type GraphStep, type Reason, type StepRun } from '../../solver/index.ts';
import { explainedBuild, openBuild, type BuildListItem, type OpenedBuild } from './builds.ts';
import { withStore } from '../with-store.ts';
import type { HostOptions } from '../options.ts';

/** A value that differs; undefined where a build has none. */
export interface ValueDifference<T = string> {
  readonly name: string;
  readonly from?: T | undefined;
  readonly to?: T | undefined;
}

/** A step in one of two builds. */
export interface StepSide {
  readonly name: string;
  readonly line?: number | undefined;
  readonly outcome: StepRun['outcome'];
  /** Milliseconds, when it ran. */
  readonly duration?: number | undefined;
  /** Bytes that it added. */
  readonly size?: number | undefined;
}

/** A step that differs in what it is made of, in what became of it, or that only one build has. */
export interface StepChange {
  readonly before?: StepSide | undefined;
  readonly after?: StepSide | undefined;
  readonly reasons: readonly Reason[];
}

export interface BuildDiff {
  readonly before: BuildListItem;
  readonly after: BuildListItem;
  /** Context, Dockerfile, target, platform, --no-cache. */
  readonly options: readonly ValueDifference[];
  readonly args: readonly ValueDifference[];
  /** Base images by name; values are digests. */
  readonly bases: readonly ValueDifference[];
  readonly steps: readonly StepChange[];
  /** Bytes of the flattened stages. */
  readonly stages: readonly ValueDifference<{ readonly built: number; readonly shipped: number | undefined }>[];
  /** Digest of the image, its compressed bytes, its layers; the error of a build that failed. */
  readonly results: readonly ValueDifference<string | number>[];
}

/** What differs between two builds that are remembered. Errors: `usage` when there is no such build. */
export async function diffBuilds(before: string, after: string, options: HostOptions = {}): Promise<BuildDiff> {
  return await withStore(options, async (store) => {
    const [a, b] = [openBuild(store, before), openBuild(store, after)];
    return {
      before: a.item,
      after: b.item,
      options: differing(optionsOf(a), optionsOf(b)),
      args: differing(a.data.args, b.data.args),
      bases: differing(basesOf(a), basesOf(b)),
      steps: stepChanges(explainedBuild(b), explainedBuild(a), (content) => store.readContentList(content)),
      stages: differing(stagesOf(a), stagesOf(b)),
      results: differing(resultsOf(a), resultsOf(b)),
    };
  });
}

function differing<T>(
  from: Readonly<Record<string, T>>,
  to: Readonly<Record<string, T>>,
): readonly ValueDifference<T>[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names
    .filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]))
    .map((name) => ({ name, from: from[name], to: to[name] }));
}

function optionsOf({ data: { options } }: OpenedBuild): Readonly<Record<string, string>> {
  const { context, dockerfile, target, platform, tags, noCache } = options;
  return {
    context,
    platform,
    ...(dockerfile !== undefined && { file: dockerfile }),
    ...(target !== undefined && { target }),
    ...(tags.length > 0 && { tags: tags.join(' ') }),
    ...(noCache === true && { 'no-cache': 'true' }),
  };
}

/** An image has its digest in its identifier; without one, what it holds tells it apart. */
function basesOf({ graph }: OpenedBuild): Readonly<Record<string, string>> {
  return Object.fromEntries(
    graph.steps
      .filter(({ kind }) => kind === 'image')
      .map(({ identifier = '', source = '' }) => {
        const [, name = identifier, digest = source] = /^(.*?)(?:@(sha256:[0-9a-f]{64}))?$/s.exec(identifier) ?? [];
        return [name.replace(/^docker-image:\/\//, ''), digest];
      }),
  );
}

function stagesOf({
  data,
}: OpenedBuild): Readonly<Record<string, { readonly built: number; readonly shipped: number | undefined }>> {
  return Object.fromEntries(
    data.stages.map(({ name, builtBytes, shippedBytes }) => [name, { built: builtBytes, shipped: shippedBytes }]),
  );
}

function resultsOf({ item, data: { image, error } }: OpenedBuild): Readonly<Record<string, string | number>> {
  return {
    result: item.result,
    ...(image !== undefined && { image: image.digest }),
    ...(image?.size !== undefined && { size: image.size }),
    ...(image?.layers !== undefined && { layers: image.layers }),
    ...(error !== undefined && { error: error.message }),
  };
}

function stepChanges(
  after: ExplainedBuild,
  before: ExplainedBuild,
  contentList: Parameters<typeof compareBuilds>[2],
): readonly StepChange[] {
  return compareBuilds(after, before, contentList).flatMap((difference): StepChange[] => {
    const [a, b] = [sideOf(before, difference.before), sideOf(after, difference.after)];
    const { reasons } = difference;
    const same =
      a !== undefined && b !== undefined && reasons.length === 0 && a.outcome === b.outcome && a.size === b.size;
    return same ? [] : [{ before: a, after: b, reasons }];
  });
}

function sideOf({ graph, runs }: ExplainedBuild, i: number | undefined): StepSide | undefined {
  const step: GraphStep | undefined = i === undefined ? undefined : graph.steps[i];
  const run: StepRun | undefined = i === undefined ? undefined : runs[i];
  if (step === undefined) return undefined;
  // What was not looked at was found as well, with what stands on it.
  const { outcome, duration, size = step.size } = run ?? {};
  return { name: step.name, line: step.line, outcome, duration, size };
}
