/**
 * Stages of one build on several nodes: each node makes stages that share no step with the others, at the same time. What
 * is copied from them travels through this machine, as an image of just those files.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  independentStages,
  isLostDaemon,
  partOfStage,
  placeGroups,
  stepsBefore,
  topOf,
  type MovableStage,
  type RemoteFrontend,
  type RemoteOutput,
} from '../../buildkit/index.ts';
import {
  BuildError,
  isDigest,
  type BuildEventSink,
  type Digest,
  type MovedStage,
  type RemoteEngine,
  type RemoteTarget,
} from '../../contracts/index.ts';
import { definition, type Definition, type Platform } from '../../llb/index.ts';
import type { BuilderNode } from '../builders/types.ts';

export interface SpreadOptions {
  /** The node that makes the rest. */
  readonly home: BuilderNode;
  readonly helpers: readonly BuilderNode[];
  readonly events: BuildEventSink;
  /** Makes one that goes with the build. */
  readonly directory: () => Promise<string>;
  /** A build of the same options on a helper, for these outputs. */
  readonly open: (
    helper: BuilderNode,
    outputs: readonly RemoteOutput[],
    signal: AbortSignal,
  ) => RemoteEngine<RemoteFrontend>;
}

/** The targets with stages that helpers have made. Resolves when they have; the home node works meanwhile. */
export async function spreadStages(
  targets: readonly RemoteTarget[],
  home: RemoteFrontend,
  options: SpreadOptions,
): Promise<readonly RemoteTarget[]> {
  const spread: RemoteTarget[] = [];
  for (const target of targets) spread.push(await spreadTarget(target, home, options));
  return spread;
}

async function spreadTarget(target: RemoteTarget, home: RemoteFrontend, options: SpreadOptions): Promise<RemoteTarget> {
  const graph = target.definition;
  const groups = independentStages(graph);
  const places = placeGroups(graph, groups, [options.home, ...options.helpers]);
  const away = groups.flatMap(({ stages }, i) => {
    const node = places[i];
    return node === undefined || node === options.home ? [] : stages.map((stage) => ({ stage, node }));
  });
  if (away.length === 0) return target;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, home.signal]);
  const moved = new Map<Digest, MovedStage>();
  const making = away.map(async ({ stage, node }) => {
    const made = await makeStage(stage, node, target.platform, { ...options, signal });
    if (made !== undefined) moved.set(stage.vertex.digest, made);
  });
  const ahead = stepsBefore(graph, new Set(away.map(({ stage }) => stage.vertex.digest)));
  try {
    await Promise.all([...making, ...ahead.map(async (edge) => await home.evaluate(definition(edge)))]);
  } catch (error) {
    // The first failure ends the helpers; the home node's work ends with its build.
    stop.abort(error);
    await Promise.allSettled(making);
    throw error;
  }
  return { ...target, moved };
}

/** Undefined when the helper is lost, or cannot do this: the stage stays with the rest then. */
async function makeStage(
  { vertex, paths }: MovableStage,
  node: BuilderNode,
  platform: Platform,
  { events, directory, open, signal }: SpreadOptions & { readonly signal: AbortSignal },
): Promise<MovedStage | undefined> {
  const layout = await directory();
  const output: RemoteOutput = { type: 'oci', attrs: { tar: 'false' }, receive: { kind: 'layout', dest: layout } };
  const engine = open(node, [output], signal);
  try {
    await engine.build(async (daemon) => {
      const files = await daemon.files(definition({ vertex, index: 0 }));
      const part: Definition = await partOfStage(vertex, paths, files, platform);
      return [{ definition: part, config: { architecture: platform.architecture, os: platform.os }, platform }];
    });
  } catch (error) {
    const isRefused = error instanceof BuildError && error.code === 'unsupported';
    if (signal.aborted || !(isLostDaemon(error) || isRefused)) throw error;
    const { message } = error as Error;
    events({ type: 'warning', message: `node ${node.name} makes no stage: ${message}` });
    return undefined;
  } finally {
    await engine.close();
  }
  const blobs = (await readdir(join(layout, 'blobs', 'sha256'))).map((hex) => `sha256:${hex}`);
  const digest = topOf(layout, blobs)?.digest ?? '';
  if (!isDigest(digest)) throw new BuildError({ code: 'builder', message: `node ${node.name} has written no stage` });
  return { layout, digest, name: `take ${paths.join(' ')} of ${vertex.metadata.name ?? 'a stage'} from ${node.name}` };
}
