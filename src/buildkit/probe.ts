import { BuildError } from '../contracts/index.ts';
import { activeBuilds, connectDaemon, daemonInfo } from './daemon.ts';
import type { NodeState } from './nodes.ts';
import type { DialOptions } from './transport/dial.ts';
import type { Endpoint } from './transport/endpoint.ts';

export interface NodeToProbe {
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Given by the user; empty = what the node says. */
  readonly platforms: readonly string[];
}

export type ProbedNode =
  | { readonly kind: 'up'; readonly state: NodeState; readonly version: string | undefined }
  | { readonly kind: 'down'; readonly name: string; readonly error: BuildError };

/** Asks a node what it builds for and how busy it is. Only a cancelled probe throws. */
export async function probeNode(node: NodeToProbe, options: DialOptions): Promise<ProbedNode> {
  try {
    const daemon = await connectDaemon(node.endpoint, options);
    try {
      const info = await daemonInfo(daemon, options.signal);
      const builds = await activeBuilds(daemon, options.signal);
      const native = info.workers.flatMap(({ platforms }) => nativeOf(platforms));
      // What the user says counts: a node may emulate what another runs.
      const platforms = node.platforms.length > 0 ? node.platforms : info.platforms;
      const own = node.platforms.length > 0 ? node.platforms : native;
      return { kind: 'up', state: { name: node.name, platforms, native: own, builds }, version: info.version };
    } finally {
      daemon.close();
    }
  } catch (error) {
    if (options.signal.aborted || !(error instanceof BuildError)) throw error;
    return { kind: 'down', name: node.name, error };
  }
}

/** The first is what the machine is; variants of it are native too (`linux/amd64/v2`, `linux/386` are not asked for). */
function nativeOf(platforms: readonly string[]): readonly string[] {
  const [first] = platforms;
  if (first === undefined) return [];
  const base = first.split('/').slice(0, 2).join('/');
  return platforms.filter((platform) => platform === base || platform.startsWith(`${base}/`));
}
