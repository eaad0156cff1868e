/** The stages of a file and what each needs of the others, before anything is resolved. */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';
import { isPlain } from '../dockerfile/index.ts';
import type { Dockerfile, Instruction, Stage, Word } from '../dockerfile/index.ts';
import type { Platform } from '../llb/index.ts';
import type { Env } from './env.ts';
import { findContext } from './named-context.ts';
import type { FoundContext } from './named-context.ts';
import { parsePlatform } from './platform.ts';
import type { FrontendOptions } from './types.ts';
import { expandText } from './words.ts';

/** A stage of the file. */
export interface StageNode {
  readonly kind: 'stage';
  readonly index: number;
  readonly stage: Stage;
  /** Name, or `stage-<index>`. */
  readonly name: string;
  /** The word after FROM, expanded. */
  readonly baseName: string;
  /** The earlier stage that FROM names. */
  readonly base: StageNode | undefined;
  /** From `--platform`. */
  readonly platform: Platform | undefined;
  /** A named context that takes the stage's place: then nothing of the stage is carried out. */
  readonly context: FoundContext | undefined;
  readonly noCache: boolean;
  readonly location: SourceLocation;
}

/** An image or named context that some instruction copies from or mounts. */
export interface ExternalNode {
  readonly kind: 'external';
  /** As written. */
  readonly name: string;
  /** Where it is named first. */
  readonly location: SourceLocation;
}

export type GraphNode = StageNode | ExternalNode;

/** One instruction of a stage with the file systems it names. */
export interface Step {
  readonly instruction: Instruction;
  /** Parallel to `references(instruction)`. */
  readonly sources: readonly GraphNode[];
  readonly location: SourceLocation;
  readonly onBuild: boolean;
}

export interface StageGraph {
  readonly stages: readonly StageNode[];
  /** By name in lower case; of several with one name the last. */
  readonly byName: ReadonlyMap<string, StageNode>;
}

/** @throws BuildError `dockerfile` for a FROM that cannot be expanded or whose platform is none. */
export function stageGraph(dockerfile: Dockerfile, globals: Env, options: FrontendOptions): StageGraph {
  const stages: StageNode[] = [];
  const byName = new Map<string, StageNode>();
  for (const stage of dockerfile.stages) {
    const node = stageNode(dockerfile, stage, byName, globals, options);
    stages.push(node);
    if (stage.name !== undefined) byName.set(stage.name, node);
  }
  return { stages, byName };
}

function stageNode(
  dockerfile: Dockerfile,
  stage: Stage,
  earlier: ReadonlyMap<string, StageNode>,
  globals: Env,
  options: FrontendOptions,
): StageNode {
  const { file, escape } = dockerfile;
  const { from } = stage;
  const at = ({ range }: Word): SourceLocation => ({ file, ranges: [range] });
  const { image } = from;
  const baseName = isPlain(image.text) ? image.text : expandText(image.text, globals, { escape }, at(image)).text;
  if (baseName === '') {
    throw new BuildError({
      code: 'dockerfile',
      message: `the base name ${image.text} is empty`,
      hint: 'give the ARG before the first FROM a default, or pass --build-arg',
      location: at(image),
    });
  }
  const platform = stagePlatform(dockerfile, stage, globals, options);
  const context =
    stage.name === undefined ? undefined : shadow(stage.name, platform, options, () => at(from.as ?? image));
  return {
    kind: 'stage',
    index: stage.index,
    stage,
    name: stage.name ?? `stage-${stage.index}`,
    baseName,
    base: context === undefined ? earlier.get(baseName) : undefined,
    platform,
    context,
    noCache: isNoCache(options.noCache, stage.name ?? ''),
    location: { file, ranges: [from.range] },
  };
}

function stagePlatform(
  { file, escape }: Dockerfile,
  { from }: Stage,
  globals: Env,
  options: FrontendOptions,
): Platform | undefined {
  if (from.platform === undefined) return undefined;
  const location = { file, ranges: [from.platform.range] };
  const text = expandText(from.platform.text, globals, { escape }, location).text;
  if (text === '') {
    throw new BuildError({
      code: 'dockerfile',
      message: `--platform=${from.platform.text} is empty`,
      hint: 'only ARGs before the first FROM can be used here, and TARGETPLATFORM or BUILDPLATFORM',
      location,
    });
  }
  return parsePlatform(text, options.buildPlatform, location);
}

function shadow(
  name: string,
  platform: Platform | undefined,
  options: FrontendOptions,
  location: () => SourceLocation,
): FoundContext | undefined {
  try {
    return findContext(name, platform ?? options.targetPlatform, options);
  } catch (error) {
    // As in BuildKit, a stage's name must be fit for a named context.
    if (!(error instanceof BuildError)) throw error;
    throw new BuildError({
      code: 'dockerfile',
      message: `${JSON.stringify(name)} cannot be the name of a stage`,
      hint: 'letters and digits, with single `.`, `_` or `-` between them',
      location: location(),
      cause: error,
    });
  }
}

function isNoCache(noCache: FrontendOptions['noCache'], stageName: string): boolean {
  if (typeof noCache === 'boolean') return noCache;
  return noCache.some((name) => name.toLowerCase() === stageName.toLowerCase());
}
