/**
 * Checks that look at stages, variables, images and the graph. `build/` has BuildKit's rules, which run in every build;
 * `advice/` has our own, which run in `slipway check` only and are loaded by it. Each rule is a file with its
 * documentation; what only needs the text is in `dockerfile/checks`.
 *
 * A *view* is what rules look at: stages, and steps with the variables and directory of their moment. It is made from a
 * resolved plan in a build, and without any image in a check.
 */
import type { SourceFile } from '../../contracts/index.ts';
import { FILE_RULES, runRules, sortFindings } from '../../dockerfile/index.ts';
import type { CheckConfig, Dockerfile, Finding, RuleInfo } from '../../dockerfile/index.ts';
import type { Env } from '../env.ts';
import { reachable } from '../plan.ts';
import type { Plan } from '../plan.ts';
import type { StageGraph, StageNode } from '../stage-graph.ts';
import type { FrontendOptions, FrontendWarning } from '../types.ts';
import { BUILD_RULES } from './build/index.ts';
import { chainOf, viewStages } from './view.ts';
import type { BuildView, StageView } from './view.ts';

export type { BuildView, StageView, StepView } from './view.ts';

export interface ViewInput extends Pick<Plan, 'stages' | 'steps'>, Partial<Pick<Plan, 'bases'>> {
  readonly dockerfile: Dockerfile;
  readonly options: FrontendOptions;
  readonly globals: Env;
  readonly graph: StageGraph;
  readonly target: StageNode;
  readonly contextNames?: ReadonlySet<string> | undefined;
}

/** What rules look at; without `bases`, no image is known. */
export function viewBuild(input: ViewInput): BuildView {
  const { dockerfile, options, globals, graph, target, steps, bases, contextNames } = input;
  const stages = viewStages(
    input.stages.map((node) => ({
      node,
      steps: steps.get(node) ?? [],
      base: node.base === undefined ? bases?.get(node) : undefined,
    })),
    dockerfile,
    options,
    globals,
  );
  const targetView = stages.find(({ node }) => node === target) ?? emptyView(target);
  return {
    dockerfile,
    options,
    globals,
    graph,
    stages,
    target: targetView,
    image: chainOf(targetView),
    needed: reachable(target, steps),
    steps,
    contextNames,
  };
}

function emptyView(node: StageNode): StageView {
  return { node, steps: [], below: undefined, root: 'image', base: undefined };
}

/** BuildKit's rules, by place. */
export function checkBuild(view: BuildView, config: CheckConfig): readonly Finding[] {
  return sortFindings([...runRules(FILE_RULES, view.dockerfile, config), ...runRules(BUILD_RULES, view, config)]);
}

/** A finding as the builder reports it. */
export function warningOf({ rule, message, hint, range }: Finding, file: SourceFile): FrontendWarning {
  return { rule: rule.name, message, hint, url: ruleUrl(rule), location: { file, ranges: [range] } };
}

/** Docker's page on a rule of BuildKit; our own are in docs/checks.md. */
export function ruleUrl({ name, origin }: RuleInfo): string | undefined {
  if (origin !== 'buildkit' || name === 'InvalidBaseImagePlatform') return undefined;
  const words = name.replace(/([a-z])([A-Z])|([A-Z])([A-Z][a-z])/g, '$1$3-$2$4').toLowerCase();
  return `https://docs.docker.com/go/dockerfile/rule/${words}/`;
}
