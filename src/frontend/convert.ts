import type { SourceLocation } from '../contracts/index.ts';
import { checkConfig, refuseFindings } from '../dockerfile/index.ts';
import type { Dockerfile } from '../dockerfile/index.ts';
import type { ImageConfig } from '../image/types.ts';
import { definition, withMetadata } from '../llb/index.ts';
import type { VertexInput } from '../llb/index.ts';
import { hasFromStep } from './bases.ts';
import type { Base } from './bases.ts';
import { checkBuild, viewBuild, warningOf } from './checks/index.ts';
import type { BuildView } from './checks/index.ts';
import { narrowSources, pathRecorder } from './build-context.ts';
import { EMPTY_ENV, splitEnv } from './env.ts';
import type { Env } from './env.ts';
import { buildArg, globalArgs, sourceDateEpoch } from './global-args.ts';
import { findTarget } from './graph-checks.ts';
import { DEFAULT_PATH, finishImage, platformFields, platformOf, withConfig, withPlatform } from './image-config.ts';
import { dispatch, isStep } from './instructions/index.ts';
import { mainContext, settled } from './named-context.ts';
import { absolutePath, workingDirectory } from './paths.ts';
import { plan } from './plan.ts';
import type { Plan } from './plan.ts';
import { normalizePlatform, samePlatform } from './platform.ts';
import { stageGraph } from './stage-graph.ts';
import type { GraphNode, StageNode, Step } from './stage-graph.ts';
import type { InstructionContext, StageState } from './state.ts';
import { stepName } from './step-name.ts';
import type { DockerfileToLlb, FrontendOptions, FrontendResult, Resolver, StageInfo } from './types.ts';

/**
 * A Dockerfile as LLB and image config, as BuildKit's dockerfile2llb makes them. All that can be known without the
 * resolver is checked before it is asked.
 *
 * @throws BuildError `stage`, `dockerfile`, `copy`, `usage`, and whatever the resolver throws.
 */
export const dockerfileToLlb: DockerfileToLlb = async (dockerfile, given, resolver) => {
  const checks = checkConfig(dockerfile, buildArg(given, 'BUILDKIT_DOCKERFILE_CHECK'));
  const { result, view } = await convert(dockerfile, given, resolver);
  const findings = checkBuild(view, checks);
  refuseFindings(dockerfile, checks, findings);
  return { ...result, warnings: findings.map((finding) => warningOf(finding, dockerfile.file)) };
};

/** A conversion without checks, and what checks look at. */
export interface Converted {
  readonly result: Omit<FrontendResult, 'warnings'>;
  readonly view: BuildView;
}

/** {@link dockerfileToLlb} without checks. */
export async function convert(dockerfile: Dockerfile, given: FrontendOptions, resolver: Resolver): Promise<Converted> {
  const options: FrontendOptions = {
    ...given,
    targetPlatform: normalizePlatform(given.targetPlatform),
    buildPlatform: normalizePlatform(given.buildPlatform),
  };
  const globals = globalArgs(dockerfile, options);
  const epoch = sourceDateEpoch(options, globals);
  const graph = stageGraph(dockerfile, globals, options);
  const target = findTarget(graph, options.target);
  const planned = await plan(target, { dockerfile, graph, options, resolver });
  const paths = pathRecorder();
  const states = carryOut(planned, {
    file: dockerfile.file,
    options,
    escape: dockerfile.escape,
    globalArgs: globals,
    epoch,
    buildContext: mainContext(options),
    usePath: paths.use,
  });
  // The result is wanted whole.
  paths.use(states.get(target)?.state.root, '/');
  const narrow = narrowSources(paths.used);
  const stages = planned.stages.map((node) => stageInfo(node, states, narrow));
  const result = stages.find(({ index }) => index === target.index) ?? stageInfo(target, states, narrow);
  const image = states.get(target)?.state.image;
  return {
    result: {
      definition: definition(settled(result.result)),
      config: targetImage(image ?? platformFields(options.targetPlatform), options),
      stages,
      target: result,
      sourceDateEpoch: epoch,
    },
    view: viewBuild({ dockerfile, options, globals, graph, target, ...planned }),
  };
}

/** The parts of an instruction's context that are the same for all stages. */
type SharedContext = Omit<InstructionContext, 'platform' | 'stage' | 'location' | 'onBuild' | 'sources'>;

interface FinishedStage {
  readonly state: StageState;
  readonly base: VertexInput | undefined;
  readonly platform: Base['platform'];
}

function carryOut({ stages, steps, bases, isSingleStage }: Plan, shared: SharedContext): Map<StageNode, FinishedStage> {
  const finished = new Map<StageNode, FinishedStage>();
  const rootOf = (node: GraphNode): VertexInput | undefined =>
    node.kind === 'stage' ? finished.get(node)?.state.root : bases.get(node)?.root;
  for (const node of stages) {
    const own = steps.get(node) ?? [];
    const base = bases.get(node);
    const platform = base?.platform ?? (node.base === undefined ? undefined : finished.get(node.base)?.platform);
    const stage = {
      name: isSingleStage ? '' : node.name,
      total: own.filter(({ instruction }) => isStep(instruction)).length + (hasFromStep(node) ? 1 : 0),
      noCache: node.noCache,
      showsPlatform: shared.options.multiPlatform === true,
    };
    const context = { ...shared, platform: platform ?? shared.options.targetPlatform, stage };
    const start = startState(node, base, finished, context);
    const state = base?.replacesStage === true ? start : runSteps(start, own, context, rootOf);
    finished.set(node, { state, base: start.root, platform: context.platform });
  }
  return finished;
}

function runSteps(
  start: StageState,
  steps: readonly Step[],
  context: Omit<InstructionContext, 'location' | 'onBuild' | 'sources'>,
  rootOf: (node: GraphNode) => VertexInput | undefined,
): StageState {
  return steps.reduce((state, { instruction, sources, location, onBuild }) => {
    const roots = sources.map((node) => ({ root: rootOf(node) }));
    return dispatch(state, instruction, { ...context, location, onBuild, sources: roots });
  }, start);
}

function startState(
  node: StageNode,
  base: Base | undefined,
  finished: ReadonlyMap<StageNode, FinishedStage>,
  context: Pick<InstructionContext, 'stage' | 'platform'>,
): StageState {
  const parent = node.base === undefined ? undefined : finished.get(node.base)?.state;
  const inherited: StageState = parent ?? {
    root: base === undefined ? undefined : namedBase(node, base, context),
    env: EMPTY_ENV,
    workdir: '/',
    user: '',
    image: base?.image ?? platformFields(context.platform),
    buildArgs: [],
    step: 0,
    hasCmd: false,
  };
  let image = withConfig(inherited.image, { OnBuild: undefined });
  if (base?.replacesStage !== true && context.platform.os !== 'windows' && !hasPath(image)) {
    image = withConfig(image, { Env: [...(image.config?.Env ?? []), `PATH=${DEFAULT_PATH}`] });
  }
  const { WorkingDir: workdir = '', User: user = '' } = image.config ?? {};
  return {
    ...inherited,
    image: workdir === '' ? image : withConfig(image, { WorkingDir: workingDirectory('/', workdir) }),
    env: withImageEnv(inherited.env, image),
    workdir: workdir === '' ? inherited.workdir : absolutePath('/', workdir),
    user: user === '' ? inherited.user : user,
    step: hasFromStep(node) && base?.name !== undefined ? 1 : 0,
    hasCmd: false,
  };
}

/** What the image sets goes before what ARG set in the stage below. */
function withImageEnv(env: Env, image: ImageConfig): Env {
  const all = new Map(env);
  for (const entry of image.config?.Env ?? []) {
    const [name, value] = splitEnv(entry);
    all.delete(name);
    all.set(name, value);
  }
  return all;
}

function hasPath(image: ImageConfig): boolean {
  return (image.config?.Env ?? []).some((entry) => splitEnv(entry)[0] === 'PATH');
}

/** The image source as the step of this stage: one image may be the base of several. */
function namedBase(
  node: StageNode,
  base: Base,
  { stage, platform }: Pick<InstructionContext, 'stage' | 'platform'>,
): VertexInput | undefined {
  if (base.root === undefined || base.name === undefined) return base.root;
  const location: SourceLocation = node.location;
  const named = withMetadata(base.root.vertex, {
    name: stepName({ stage, platform, onBuild: false }, 1, `FROM ${base.name}`),
    description: { 'com.docker.dockerfile.v1.command': node.stage.from.original.trim() },
    location,
  });
  return { vertex: named, index: base.root.index };
}

function stageInfo(
  node: StageNode,
  states: ReadonlyMap<StageNode, FinishedStage>,
  narrow: (input: VertexInput | undefined) => VertexInput | undefined,
): StageInfo {
  const stage = states.get(node);
  return {
    index: node.index,
    name: node.name,
    result: narrow(stage?.state.root),
    base: narrow(stage?.base),
    baseName: node.baseName,
    platform: stage?.platform ?? { os: '', architecture: '' },
  };
}

/** `--label` and `--platform` change the target's config only. */
function targetImage(image: ImageConfig, options: FrontendOptions): ImageConfig {
  const labelled =
    Object.keys(options.labels).length === 0
      ? image
      : withConfig(image, { Labels: { ...image.config?.Labels, ...options.labels } });
  const { targetPlatform, buildPlatform } = options;
  const own = platformOf(labelled);
  const isOther = own.os !== targetPlatform.os || own.architecture !== targetPlatform.architecture;
  const chosen =
    samePlatform(targetPlatform, buildPlatform) || (!isOther && targetPlatform.variant === undefined)
      ? own
      : targetPlatform;
  return finishImage(withPlatform(labelled, chosen));
}
