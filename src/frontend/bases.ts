/** What stages stand on and copy from: images and contexts, asked for in parallel through the resolver. */
import { BuildError } from '../contracts/index.ts';
import { nearest } from '../dockerfile/index.ts';
import { parseReference, referenceToString } from '../image/reference.ts';
import type { ImageConfig } from '../image/types.ts';
import { vertex } from '../llb/index.ts';
import type { Platform, VertexInput } from '../llb/index.ts';
import { emptyImage, inheritImage, platformOf } from './image-config.ts';
import { findContext, imageAttributes, resolveContext } from './named-context.ts';
import { samePlatform } from './platform.ts';
import type { GraphNode, StageGraph, StageNode } from './stage-graph.ts';
import type { FrontendOptions, Resolver } from './types.ts';

/** A file system with its config, before any instruction. */
export interface Base {
  readonly root: VertexInput | undefined;
  readonly image: ImageConfig;
  readonly platform: Platform;
  /** What FROM is called in progress: with registry and digest. Undefined for scratch. */
  readonly name: string | undefined;
  /** A stage that a context takes the place of is done with it. */
  readonly replacesStage: boolean;
}

export interface BaseContext {
  readonly options: FrontendOptions;
  readonly resolver: Resolver;
  readonly graph: StageGraph;
}

/** @throws BuildError of the resolver, or `dockerfile` for a name that is none. */
export async function resolveBase(node: GraphNode, context: BaseContext): Promise<Base> {
  const { options, resolver } = context;
  const platform = (node.kind === 'stage' ? node.platform : undefined) ?? options.targetPlatform;
  if (node.kind === 'stage' && node.context !== undefined) {
    const found = await resolveContext(node.context, platform, options, resolver, node.location);
    const image = found.image === undefined ? emptyImage(platform) : inheritImage(found.image);
    // A context without config leaves the stage without: no PATH, no working directory.
    return {
      root: found.root,
      image: found.image === undefined ? { ...image, config: {} } : image,
      platform: found.image === undefined ? platform : platformOf(image),
      name: undefined,
      replacesStage: true,
    };
  }
  const name = node.kind === 'stage' ? node.baseName : node.name;
  if (name === 'scratch') {
    const { targetPlatform } = options;
    return {
      root: undefined,
      image: emptyImage(targetPlatform),
      platform: targetPlatform,
      name: undefined,
      replacesStage: false,
    };
  }
  const reference = normalizedName(node, name, context.graph);
  const found = findContext(reference, platform, options);
  if (found !== undefined) {
    const { root, image } = await resolveContext(found, platform, options, resolver, node.location);
    return {
      root,
      image: image === undefined ? emptyImage(platform) : inheritImage(image),
      platform,
      name: undefined,
      replacesStage: false,
    };
  }
  return imageBase(node, name, reference, platform, context);
}

async function imageBase(
  node: GraphNode,
  written: string,
  reference: string,
  asked: Platform,
  context: BaseContext,
): Promise<Base> {
  const { options, resolver } = context;
  const location =
    node.kind === 'stage' ? { file: node.location.file, ranges: [node.stage.from.image.range] } : node.location;
  let resolved;
  try {
    resolved = await resolver.resolveImage(reference, asked, 'docker-image', location);
  } catch (error) {
    throw suggestStage(error, written, context.graph);
  }
  const image = inheritImage(resolved.config);
  const platform = node.kind === 'stage' && node.platform !== undefined ? asked : detectPlatform(image, asked, options);
  if (isScratch(resolved.config)) return { root: undefined, image, platform, name: undefined, replacesStage: false };
  const source = vertex(
    { kind: 'source', identifier: `docker-image://${resolved.ref}`, attrs: imageAttributes(options) },
    [],
    {
      platform,
      metadata: { name: `FROM ${resolved.ref}`, location: node.location },
    },
  );
  return { root: { vertex: source, index: 0 }, image, platform, name: resolved.ref, replacesStage: false };
}

function normalizedName(node: GraphNode, name: string, graph: StageGraph): string {
  try {
    return referenceToString(parseReference(name));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    const stage = graph.byName.get(name.toLowerCase());
    const hint =
      stage === undefined ? error.hint : `did you mean stage \`${stage.name}\`? FROM takes the name in lower case`;
    throw new BuildError({ ...error.toInit(), code: 'dockerfile', hint, location: node.location });
  }
}

/** Without `--platform`, an image of another platform is used as what it is, where this machine can run it. */
function detectPlatform(image: ImageConfig, asked: Platform, options: FrontendOptions): Platform {
  const is = (platform: Platform): boolean => image.os === platform.os && image.architecture === platform.architecture;
  const implicit = samePlatform(options.targetPlatform, options.buildPlatform);
  return implicit && !is(asked) && is(options.buildPlatform) ? options.buildPlatform : asked;
}

/** An image of no layers; in the oldest ones only the history can tell. */
function isScratch(config: ImageConfig): boolean {
  return (config.rootfs?.diff_ids ?? []).length === 0 && (config.history ?? []).every((entry) => entry.empty_layer);
}

function suggestStage(error: unknown, name: string, graph: StageGraph): unknown {
  if (!(error instanceof BuildError) || error.code !== 'image-not-found') return error;
  const near = nearest(name, [...graph.byName.keys()]);
  if (near === undefined) return error;
  const hint = [`did you mean stage \`${near}\`?`, error.hint].filter((text) => text !== undefined).join(' ');
  return new BuildError({ ...error.toInit(), hint });
}

/** Whether a stage's FROM is a step of its own in progress. */
export function hasFromStep(node: StageNode): boolean {
  return node.context === undefined && node.base === undefined && node.baseName !== 'scratch';
}
