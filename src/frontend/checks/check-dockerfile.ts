/** Checks without a build: no image is asked for, and all mistakes that can be seen are reported, not the first one. */
import { BuildError } from '../../contracts/index.ts';
import type { Digest, SourceRange } from '../../contracts/index.ts';
import { checkConfig, FILE_RULES, runRules, sortFindings } from '../../dockerfile/index.ts';
import type { CheckConfig, Dockerfile, Finding } from '../../dockerfile/index.ts';
import { convert } from '../convert.ts';
import { buildArg } from '../global-args.ts';
import { normalizePlatform } from '../platform.ts';
import type { StageNode } from '../stage-graph.ts';
import type { FrontendOptions, Resolver } from '../types.ts';
import { BUILD_RULES } from './build/index.ts';
import type { BuildView } from './index.ts';
import { offlineView } from './offline-view.ts';

export interface CheckInput {
  readonly dockerfile: Dockerfile;
  readonly options: FrontendOptions;
  /** Names at the top of the build context; undefined where nobody looked. */
  readonly contextNames?: ReadonlySet<string> | undefined;
  /** Rules to leave out, and ones that are off by default to run, besides what the file says. */
  readonly skip?: readonly string[] | undefined;
  readonly enable?: readonly string[] | undefined;
}

export interface CheckReport {
  /** By place. */
  readonly findings: readonly Finding[];
  /** Why the file cannot be built, as far as that is known without images; the first of every target. */
  readonly errors: readonly BuildError[];
}

/** More targets of one file than this are not tried for errors. */
const MAX_TARGETS = 50;

/**
 * Without a target every stage is checked, as `docker build --check` does, and the last one is taken for the image.
 * Never throws a BuildError: it is part of the report.
 */
export async function checkDockerfile(input: CheckInput): Promise<CheckReport> {
  const { dockerfile } = input;
  const options: FrontendOptions = {
    ...input.options,
    targetPlatform: normalizePlatform(input.options.targetPlatform),
    buildPlatform: normalizePlatform(input.options.buildPlatform),
  };
  const findings: Finding[] = [];
  try {
    const config = withNames(checkConfig(dockerfile, buildArg(options, 'BUILDKIT_DOCKERFILE_CHECK')), input);
    findings.push(...runRules(FILE_RULES, dockerfile, config));
    const isAll = options.target === undefined || options.target === '';
    const view = offlineView({ dockerfile, options, contextNames: input.contextNames, allStages: isAll });
    const { ADVICE_RULES } = await import('./advice/index.ts');
    findings.push(...runRules(BUILD_RULES, view, config), ...runRules(ADVICE_RULES, view, config));
    const targets = isAll ? leaves(view) : [view.target.node];
    return { findings: sortFindings(findings), errors: await buildErrors(view, targets, findings) };
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return { findings: sortFindings(findings), errors: [error] };
  }
}

/** What can be said of the text alone, for a file whose end cannot be parsed. */
export function checkText(dockerfile: Dockerfile): readonly Finding[] {
  try {
    return sortFindings(runRules(FILE_RULES, dockerfile, checkConfig(dockerfile, undefined)));
  } catch (error) {
    if (error instanceof BuildError) return [];
    throw error;
  }
}

function withNames(config: CheckConfig, { skip = [], enable = [] }: CheckInput): CheckConfig {
  return {
    ...config,
    skipAll: config.skipAll || skip.includes('all'),
    skip: new Set([...config.skip, ...skip]),
    experimentalAll: config.experimentalAll || enable.includes('all'),
    experimental: new Set([...config.experimental, ...enable]),
  };
}

/** Stages that no other one needs, and the last. */
function leaves({ graph, steps }: BuildView): readonly StageNode[] {
  const needed = new Set<unknown>();
  for (const node of graph.stages) {
    if (node.base !== undefined) needed.add(node.base);
    for (const { sources } of steps.get(node) ?? [])
      for (const source of sources) if (source !== node) needed.add(source);
  }
  return graph.stages.filter((node) => !needed.has(node) || node === graph.stages.at(-1)).slice(-MAX_TARGETS);
}

/** Tries to make the graph of every target, with images of which nothing is known. */
async function buildErrors(
  view: BuildView,
  targets: readonly StageNode[],
  findings: readonly Finding[],
): Promise<readonly BuildError[]> {
  const errors = new Map<string, BuildError>();
  for (const target of targets) {
    try {
      await convert(view.dockerfile, { ...view.options, target: String(target.index) }, OFFLINE);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      if (isGuess(error, view) || isReported(error, findings)) continue;
      errors.set(`${error.message} ${JSON.stringify(error.location?.ranges[0])}`, error);
    }
  }
  return [...errors.values()];
}

/** With a variable, which the image below may have set, nothing is certain. */
function isGuess({ location }: BuildError, { stages, dockerfile }: BuildView): boolean {
  const range = location?.ranges[0];
  if (range === undefined) return false;
  const step = stages.flatMap(({ steps }) => steps).find((candidate) => contains(candidate.range, range));
  if (step === undefined || step.envIsKnown) return false;
  const lines = dockerfile.file.text.split('\n').slice(range.start.line - 1, range.end.line);
  return lines.join('\n').includes('$');
}

function isReported({ location }: BuildError, findings: readonly Finding[]): boolean {
  const range = location?.ranges[0];
  return (
    range !== undefined &&
    findings.some(
      ({ rule, place, range: found }) =>
        rule.severity === 'error' && (contains(place.range, range) || contains(range, found)),
    )
  );
}

function contains(outer: SourceRange, inner: SourceRange): boolean {
  const after = (a: SourceRange['start'], b: SourceRange['start']): boolean =>
    a.line > b.line || (a.line === b.line && a.column >= b.column);
  return after(inner.start, outer.start) && after(outer.end, inner.end);
}

const UNKNOWN: Digest = `sha256:${'0'.repeat(64)}`;

/** Every image is there, and has a file system and nothing else. */
const OFFLINE: Resolver = {
  resolveImage: async (ref, { os, architecture, variant }) => ({
    ref: ref.includes('@') ? ref : `${ref}@${UNKNOWN}`,
    digest: UNKNOWN,
    config: {
      os,
      architecture,
      ...(variant === undefined ? {} : { variant }),
      rootfs: { type: 'layers', diff_ids: [UNKNOWN] },
      config: {},
    },
  }),
};
