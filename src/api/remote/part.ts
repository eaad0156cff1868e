/** One daemon's part of a build: connect, read what it is given, convert, hand over. */
import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  createRemoteEngine,
  isLostDaemon,
  parseCacheOptions,
  parseEndpoint,
  type CacheOptions,
  type RemoteFrontend,
  type RemoteOutput,
} from '../../buildkit/index.ts';
import {
  BuildError,
  type BuildEventSink,
  type RemoteEngine,
  type RemoteResult,
  type RemoteTarget,
} from '../../contracts/index.ts';
import { parseDockerfile } from '../../dockerfile/index.ts';
import {
  dockerfileToLlb,
  mainContext,
  type FrontendResult,
  type Resolver,
  type ResolvedImage,
} from '../../frontend/index.ts';
import { definition, type Platform } from '../../llb/index.ts';
import { createContexts } from '../../source/index.ts';
import type { Builder, BuilderNode } from '../builders/types.ts';
import { isRemoteContext } from '../inputs/contexts.ts';
import { allowedEntitlements, checkEntitlements } from '../inputs/entitlements.ts';
import { cwdOf, frontendOptions, readInputs, type Inputs } from '../inputs/inputs.ts';
import type { BuildOptions, StageWeight } from '../options.ts';
import { hostPlatform, platformText } from '../inputs/platform.ts';
import { planForDocker } from './docker.ts';
import { explainMissing } from './missing.ts';
import { checkRequiredPaths } from './required.ts';
import type { RemoteRecord } from './record.ts';
import { parseSsh, type parseSecrets } from '../inputs/secrets.ts';

/** One daemon's part of a build. */
export interface RemotePart {
  /** Best first; the others take over when it is lost before anything has come of it. */
  readonly nodes: readonly BuilderNode[];
  /** Undefined: what the node runs natively. */
  readonly platforms: readonly Platform[] | undefined;
  readonly outputs: readonly RemoteOutput[];
  /** The result is one of several platforms, whatever this part's are. */
  readonly multiPlatform: boolean;
  /** Other nodes that may make stages of it. */
  readonly helpers?: readonly BuilderNode[] | undefined;
}

/** A build, whichever of its parts runs. */
export interface RemoteBuild {
  readonly options: BuildOptions;
  readonly builder: Builder;
  readonly record: RemoteRecord;
  readonly events: BuildEventSink;
  readonly secrets: ReturnType<typeof parseSecrets>;
  /** By name: filled while graphs are made, where sizes are asked for. */
  readonly weights: Map<string, StageWeight>;
}

/** Has the first node of a part build it that can be reached. */
export async function buildPart(build: RemoteBuild, part: RemotePart): Promise<RemoteResult> {
  const [node, ...others] = part.nodes;
  if (node === undefined) throw new BuildError({ code: 'builder', message: `${build.builder.name} has no nodes` });
  try {
    return await buildOn(node, build, part);
  } catch (error) {
    // What came from standard input is gone; else another node can do it all.
    if (!isLostDaemon(error) || others.length === 0 || build.options.context === '-') throw error;
    const reason = error instanceof Error ? error.message : '';
    build.events({
      type: 'warning',
      message: `node ${node.name} is lost: ${reason}; ${others[0]?.name ?? ''} takes over`,
    });
    const helpers = part.helpers?.filter((helper) => helper !== others[0]);
    return await buildPart(build, { ...part, nodes: others, helpers });
  }
}

async function buildOn(node: BuilderNode, build: RemoteBuild, part: RemotePart): Promise<RemoteResult> {
  const { options, events } = build;
  const env = options.env ?? process.env;
  const signal = options.signal ?? new AbortController().signal;
  const { directories } = build.record;
  const temporary: string[] = [];
  const contexts = createContexts(directories, signal);
  const rooms = {
    directories,
    events,
    async emptyDirectory() {
      const directory = await mkdtemp(join(tmpdir(), 'slipway-context-'));
      temporary.push(directory);
      return directory;
    },
  };
  const endpoint = parseEndpoint(node.url, env);
  const plan = await planForDocker(endpoint, part.outputs, { env, signal, events });
  let inputs: Inputs | undefined;
  const cache = parseCacheOptions(options.cacheFrom ?? [], options.cacheTo ?? [], { env, cwd: cwdOf(options) });
  const engine = openEngine(node, build, { ...part, outputs: plan.outputs }, contexts, cache);
  events({ type: 'engine', engine: 'buildkit', detail: engine.description });
  try {
    // What is on this machine is read before anybody is called; what only the daemon can read, through it.
    if (isHere(options)) inputs = await readInputs(options, { ...rooms, ...NO_DAEMON });
    const result = await engine.build(async (daemon) => {
      inputs ??= await readInputs(options, {
        ...rooms,
        takeTar: async (stream) => await Promise.resolve(daemon.offerUpload(stream)),
        async solveContext(context) {
          const graph = definition(mainContext({ context, buildArgs: options.buildArgs ?? {} }));
          return { layers: [], files: await daemon.files(graph), inPlace: false };
        },
      });
      const targets = await convert(inputs, daemon, build, part.platforms);
      if (!daemon.can('file.copy.requiredpaths')) {
        for (const target of targets) await checkRequiredPaths(target.definition, daemon, contexts);
      }
      const helpers = part.helpers ?? [];
      if (helpers.length === 0 || !daemon.can('source.ocilayout')) return targets;
      const { spreadStages } = await import('./stages.ts');
      return await spreadStages(targets, daemon, {
        home: node,
        helpers,
        events,
        directory: async () => await rooms.emptyDirectory(),
        open: (helper, outputs, stop) => {
          const helping = { ...build, options: { ...options, signal: stop } };
          const imports = { ...cache, exports: [] };
          return openEngine(helper, helping, { ...part, outputs, multiPlatform: false }, contexts, imports);
        },
      });
    });
    await plan.finish();
    return result;
  } catch (error) {
    throw await explainMissing(error, { vertices: build.record.vertices(), contexts });
  } finally {
    await engine.close();
    for (const directory of temporary) await rm(directory, { recursive: true, force: true });
  }
}

/** A build on one node. */
function openEngine(
  node: BuilderNode,
  { options, builder, events, secrets }: RemoteBuild,
  { outputs, platforms, multiPlatform }: Pick<RemotePart, 'outputs' | 'platforms' | 'multiPlatform'>,
  contexts: ReturnType<typeof createContexts>,
  cache: CacheOptions,
): RemoteEngine<RemoteFrontend> {
  const env = options.env ?? process.env;
  return createRemoteEngine({
    endpoint: parseEndpoint(node.url, env),
    name: builder.from === 'host' ? undefined : node.name,
    routeKey: routeKey(options),
    env,
    signal: options.signal ?? new AbortController().signal,
    events,
    contexts,
    // The daemon compares with what the last build from this directory of this machine sent.
    contextKey: `${hostname()} ${routeKey(options)}`,
    secrets,
    ssh: parseSsh(options.ssh ?? [], env),
    outputs,
    stdout: options.stdout ?? process.stdout,
    cache,
    entitlements: () => [...allowedEntitlements(options)],
    platforms: platforms?.map(platformText),
    multiPlatform,
    pull: options.pull ?? false,
  });
}

/** A directory, with a Dockerfile that is a file or comes through a pipe. */
function isHere(options: BuildOptions): boolean {
  return (
    options.context !== '-' &&
    !isRemoteContext(options.context, cwdOf(options)) &&
    !/^https?:/.test(options.dockerfile ?? '')
  );
}

const unreachable = (): never => {
  throw new BuildError({ code: 'internal', message: 'a directory needs no daemon to be read' });
};
const NO_DAEMON = { takeTar: unreachable, solveContext: unreachable };

/** The daemon must be asked for it before it sees the graph. */
async function convert(
  inputs: Inputs,
  daemon: RemoteFrontend,
  { options, events, record, weights }: RemoteBuild,
  platforms: readonly Platform[] | undefined,
): Promise<readonly RemoteTarget[]> {
  const { text, filename } = inputs.dockerfile;
  const dockerfile = parseDockerfile(text, { filename });
  record.recorder.dockerfile(dockerfile);
  const native = daemon.platform ?? hostPlatform();
  const warned = new Set<string>();
  const targets: RemoteTarget[] = [];
  for (const platform of platforms ?? [native]) {
    const images = new Map<string, ResolvedImage['config']>();
    const resolver: Resolver = {
      async resolveImage(...question) {
        const answer = await daemon.resolveImage(...question);
        images.set(answer.ref, answer.config);
        return answer;
      },
    };
    const frontend = await dockerfileToLlb(dockerfile, frontendOptions(options, inputs, platform, native), resolver);
    checkEntitlements(frontend.definition, allowedEntitlements(options));
    record.graph(frontend);
    for (const warning of frontend.warnings) {
      const key = JSON.stringify([warning.rule, warning.message, warning.location?.ranges]);
      if (!warned.has(key)) events({ type: 'warning', ...warning });
      warned.add(key);
    }
    if (options.stageSizes === true) {
      const { remoteStageWeights } = await import('./weights.ts');
      const prefix = platforms === undefined || platforms.length === 1 ? '' : `${platformText(platform)} `;
      for (const weight of await remoteStageWeights(frontend, daemon, prefix)) weights.set(weight.name, weight);
    }
    const { definition: graph, config, sourceDateEpoch } = frontend;
    const baseConfig = images.get(baseImage(frontend));
    targets.push({
      definition: graph,
      config: { ...config },
      baseConfig: baseConfig && { ...baseConfig },
      platform,
      sourceDateEpoch,
    });
  }
  return targets;
}

/** The reference of the image that the target stands on, through the stages that it is FROM; '' for none. */
function baseImage({ target, stages }: FrontendResult): string {
  for (let at = target, hops = 0; hops <= stages.length; hops++) {
    const { base } = at;
    if (base?.vertex.op.kind === 'source') return base.vertex.op.identifier.replace(/^docker-image:\/\//, '');
    const below = stages.find(({ result }) => base !== undefined && result?.vertex === base.vertex);
    if (below === undefined || below === at) return '';
    at = below;
  }
  return '';
}

/** Builds of one directory or repository find each other's cache on the same node. */
export function routeKey({ context, cwd }: BuildOptions): string {
  return context.includes('://') || context === '-'
    ? context.replace(/#.*$/s, '')
    : resolve(cwd ?? process.cwd(), context);
}
