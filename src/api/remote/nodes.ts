/** One build on several daemons: platforms go to the nodes that run them, what they make is joined to one image. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  assignPlatforms,
  groupByNode,
  idleNodes,
  parseEndpoint,
  probeNode,
  type NodeState,
  type ProbedNode,
  type RemoteOutput,
} from '../../buildkit/index.ts';
import { BuildError, type RemoteResult } from '../../contracts/index.ts';
import type { Platform } from '../../llb/index.ts';
import type { BuilderNode } from '../builders/types.ts';
import { hostPlatform, parsePlatforms, platformText } from '../inputs/platform.ts';
import { joinImages, type Built } from './image-index.ts';
import { buildPart, routeKey, type RemoteBuild } from './part.ts';
import { step } from '../records/steps.ts';

/**
 * Splits a build over the nodes of a builder.
 *
 * @throws BuildError `builder` when a platform has no node (left); `usage` for an output that cannot be joined
 */
export async function buildOnNodes(
  build: RemoteBuild,
  outputs: readonly RemoteOutput[],
  platforms: readonly Platform[] | undefined,
): Promise<RemoteResult> {
  const { builder, events } = build;
  const probed = await step(events, `[internal] ask the nodes of ${builder.name}`, async () => await probe(build));
  const states = probed.flatMap((node): NodeState[] => (node.kind === 'up' ? [node.state] : []));
  const down = probed.filter((node) => node.kind === 'down');
  for (const { name, error } of down) events({ type: 'warning', message: `node ${name} is lost: ${error.message}` });
  const [first] = down;
  if (states.length === 0 && first !== undefined) throw first.error;

  const wanted = platforms?.map(platformText) ?? [defaultPlatform(states)];
  const groups = groupByNode(assign(wanted, states, build, down));
  const parts = groups.map((group) => ({
    nodes: nodesOf(group.nodes, builder.nodes),
    platforms: parsePlatforms(group.platforms),
  }));
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    const helpers = nodesOf(helpersFor(only, wanted, states, build), builder.nodes);
    return await buildPart(build, { ...only, outputs, multiPlatform: wanted.length > 1, helpers });
  }
  return await buildParts(build, parts, outputs);
}

/** Which other nodes may make stages of a build that is for one. */
function helpersFor(
  { nodes }: Part,
  wanted: readonly string[],
  states: readonly NodeState[],
  { options }: RemoteBuild,
): readonly string[] {
  const [platform = ''] = wanted;
  // A cache that is exported has the steps of one daemon; what is not there to be read twice is read by one.
  const staysTogether =
    wanted.length > 1 || options.context === '-' || options.stageSizes === true || writesCache(options.cacheTo);
  if (staysTogether) return [];
  return idleNodes(platform, states, routeKey(options)).filter((name) => name !== nodes[0]?.name);
}

function writesCache(words: readonly string[] = []): boolean {
  return words.some((word) => !/type=inline\b/.test(word));
}

/** A machine of this one's kind where there is one, so that the default is the same wherever the build runs. */
function defaultPlatform(states: readonly NodeState[]): string {
  const here = platformText(hostPlatform());
  return states.some(({ native }) => native.includes(here)) ? here : (states[0]?.native[0] ?? here);
}

function assign(
  wanted: readonly string[],
  states: readonly NodeState[],
  { options }: RemoteBuild,
  down: readonly Extract<ProbedNode, { kind: 'down' }>[],
) {
  try {
    return assignPlatforms(wanted, states, routeKey(options));
  } catch (error) {
    if (!(error instanceof BuildError) || down.length === 0) throw error;
    throw new BuildError({
      ...error.toInit(),
      detail: down.map(({ name, error: reason }) => `${name}: ${reason.message}`),
    });
  }
}

async function probe({ builder, options }: RemoteBuild): Promise<readonly ProbedNode[]> {
  const env = options.env ?? process.env;
  const signal = options.signal ?? new AbortController().signal;
  return await Promise.all(
    builder.nodes.map(
      async ({ name, url, platforms }) =>
        await probeNode(
          {
            name,
            endpoint: parseEndpoint(url, env),
            platforms: platforms.length === 0 ? [] : parsePlatforms(platforms).map(platformText),
          },
          { env, signal, routeKey: routeKey(options) },
        ),
    ),
  );
}

function nodesOf(names: readonly string[], nodes: readonly BuilderNode[]): readonly BuilderNode[] {
  return names.flatMap((name) => nodes.find((node) => node.name === name) ?? []);
}

interface Part {
  readonly nodes: readonly BuilderNode[];
  readonly platforms: readonly Platform[];
}

async function buildParts(
  build: RemoteBuild,
  parts: readonly Part[],
  outputs: readonly RemoteOutput[],
): Promise<RemoteResult> {
  refuseWhatCannotBeJoined(build, outputs);
  const temporary = await mkdtemp(join(tmpdir(), 'slipway-nodes-'));
  const stop = new AbortController();
  const signal =
    build.options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, build.options.signal]);
  try {
    const running = parts.map(async (part, i): Promise<Built> => {
      const own = outputs.map((output, n) => partOutput(output, join(temporary, `${i}-${n}`)));
      const options = { ...build.options, signal };
      const result = await buildPart({ ...build, options }, { ...part, outputs: own, multiPlatform: true });
      return { platforms: part.platforms, outputs: own, response: result.response };
    });
    // The first failure ends the others: half an image is none.
    for (const part of running) part.catch((error: unknown) => stop.abort(error));
    const settled = await Promise.allSettled(running);
    const failed = settled.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw stop.signal.reason ?? failed.reason;
    const built = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    return await step(
      build.events,
      'exporting the image of all nodes',
      async () => await joinImages(build, outputs, built),
    );
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** What a node makes of an output that is joined later. */
function partOutput(output: RemoteOutput, temporary: string): RemoteOutput {
  if (output.type === 'image') {
    const { name = '', ...attrs } = output.attrs;
    const repositories = [...new Set(name.split(',').map((text) => text.replace(/@.*$/, '').replace(/:[^/:]*$/, '')))];
    // As archives have them: the manifests of all outputs are the same then, and so is what the daemon answers.
    const types = { 'oci-mediatypes': 'true' };
    // A part has no name of its own: two nodes of one daemon would quarrel about it.
    const part = { name: repositories.join(','), push: 'true', 'push-by-digest': 'true', store: 'false' };
    return { ...output, attrs: { ...types, ...attrs, ...part } };
  }
  if (output.type === 'oci') {
    return { ...output, attrs: { ...output.attrs, tar: 'false' }, receive: { kind: 'layout', dest: temporary } };
  }
  return output;
}

function refuseWhatCannotBeJoined({ options, builder }: RemoteBuild, outputs: readonly RemoteOutput[]): void {
  const refuse = (what: string, hint: string): never => {
    throw new BuildError({ code: 'usage', message: `${what} cannot come from several nodes of ${builder.name}`, hint });
  };
  for (const { type, attrs, receive } of outputs) {
    if (type === 'image' && !/^(?:1|t|true)$/i.test(attrs['push'] ?? ''))
      refuse('an image that stays with the daemon', 'push it (--push), or write it: -o type=oci,dest=image.tar');
    if (type === 'docker' || type === 'tar')
      refuse(`an output of type ${type}`, 'use -o type=oci, type=local or --push');
    if (receive?.kind === 'directory' && receive.removeOthers)
      refuse('mode=delete', 'give an empty directory, or build one platform at a time');
  }
  if (writesCache(options.cacheTo))
    refuse('one build cache', 'use --cache-to type=inline, or build one platform at a time');
}
