import {
  connectDaemon,
  diskUsage,
  parseEndpoint,
  probeNode,
  prune,
  type Daemon,
  type UsageRecord,
} from '../../buildkit/index.ts';
import { BuildError } from '../../contracts/index.ts';
import { EMBEDDED, findBuilder } from './builders.ts';
import type { Builder, BuilderNode } from './types.ts';
import type { HostOptions } from '../options.ts';

/** A builder and what its daemons say of themselves. */
export interface BuilderStatus extends Pick<Builder, 'name' | 'from'> {
  readonly nodes: readonly NodeStatus[];
}

export interface NodeStatus extends BuilderNode {
  /** Why it cannot be reached; absent = it is up. */
  readonly error?: string | undefined;
  /** Of its BuildKit, where it says so. */
  readonly version?: string | undefined;
  /** Builds under way. */
  readonly builds?: number | undefined;
}

/** Asks every node of a builder. Errors: `usage` when there is no such builder; nodes that are down are not an error. */
export async function inspectBuilder(name: string, options: HostOptions = {}): Promise<BuilderStatus> {
  const { env = process.env, signal = new AbortController().signal } = options;
  if (name === EMBEDDED) return { name, from: 'host', nodes: [] };
  const builder = findBuilder(name, env);
  const nodes = await Promise.all(
    builder.nodes.map(async (node): Promise<NodeStatus> => {
      const endpoint = parseEndpoint(node.url, env);
      const probed = await probeNode({ name: node.name, endpoint, platforms: node.platforms }, { env, signal });
      if (probed.kind === 'down') return { ...node, error: probed.error.message };
      const { platforms, builds } = probed.state;
      return { ...node, platforms, builds, version: probed.version };
    }),
  );
  return { name: builder.name, from: builder.from, nodes };
}

/** What the daemons of a builder keep. Errors: `usage`, `builder`. */
export async function builderDiskUsage(
  name: string,
  options: HostOptions = {},
): Promise<readonly (UsageRecord & { readonly node: string })[]> {
  const all = await onEachNode(name, options, async (daemon, node, signal) =>
    (await diskUsage(daemon, signal)).map((record) => ({ node: node.name, ...record })),
  );
  return all.flat();
}

/** Removes what no build uses from the daemons of a builder. Errors: `usage`, `builder`. */
export async function pruneBuilder(
  name: string,
  options: HostOptions & { readonly all?: boolean; readonly keepBytes?: number | undefined } = {},
): Promise<{ readonly records: number; readonly bytes: number }> {
  const { all, keepBytes } = options;
  let records = 0;
  let bytes = 0;
  await onEachNode(name, options, async (daemon, _node, signal) => {
    for await (const { size } of prune(daemon, { all, keepBytes, signal })) {
      records++;
      bytes += size;
    }
  });
  return { records, bytes };
}

async function onEachNode<T>(
  name: string,
  { env = process.env, signal = new AbortController().signal }: HostOptions,
  work: (daemon: Daemon, node: BuilderNode, signal: AbortSignal) => Promise<T>,
): Promise<readonly T[]> {
  if (name === EMBEDDED) {
    throw new BuildError({ code: 'usage', message: 'the embedded engine has no daemon', hint: 'see: slipway du' });
  }
  const results: T[] = [];
  for (const node of findBuilder(name, env).nodes) {
    const daemon = await connectDaemon(parseEndpoint(node.url, env), { env, signal });
    try {
      results.push(await work(daemon, node, signal));
    } finally {
      daemon.close();
    }
  }
  return results;
}
