/** Which node builds which platform. Pure: what nodes say of themselves comes in as data. */
import { BuildError } from '../contracts/index.ts';
import { rankByKey } from './routing.ts';

/** What is known of a node before a build. */
export interface NodeState {
  readonly name: string;
  /** As text, `linux/arm64`: those the user said it is for, else those that it says. The first is its own. */
  readonly platforms: readonly string[];
  /** Those in `platforms` that it runs without emulation. */
  readonly native: readonly string[];
  /** Builds under way, where the node says so. */
  readonly builds: number;
}

export interface Assignment {
  readonly platform: string;
  /** Best first: the others take over when it is lost. */
  readonly nodes: readonly string[];
}

/** A node with this many builds more than the idlest is passed over, however well it knows the project. */
const BUSY_MARGIN = 4;

/**
 * A platform goes to a node that runs it natively, else to one that emulates it. Among equals the project's own node is
 * taken, which has its cache, unless it has far more to do than another.
 *
 * @param routeKey The same for builds that share a cache: the repository or directory.
 * @throws BuildError `builder` for a platform that no node has
 */
export function assignPlatforms(
  platforms: readonly string[],
  nodes: readonly NodeState[],
  routeKey: string,
): readonly Assignment[] {
  const ranking = rankByKey(
    nodes.map(({ name }) => name),
    routeKey,
  );
  const idlest = Math.min(...nodes.map(({ builds }) => builds));
  const order = [...nodes].sort(
    (a, b) => busy(a, idlest) - busy(b, idlest) || ranking.indexOf(a.name) - ranking.indexOf(b.name),
  );
  return platforms.map((platform) => {
    const native = order.filter(({ native: own }) => own.includes(platform));
    const emulated = order.filter((node) => !native.includes(node) && node.platforms.includes(platform));
    const chosen = [...native, ...emulated].map(({ name }) => name);
    if (chosen.length > 0) return { platform, nodes: chosen };
    const has = [...new Set(nodes.flatMap((node) => node.platforms))];
    throw new BuildError({
      code: 'builder',
      message: `no node of the builder builds for ${platform}`,
      hint: has.length === 0 ? undefined : `its nodes build for ${has.join(', ')}`,
    });
  });
}

/** Those that have not far more to do than the idlest, the project's own first: they may make stages of one build. */
export function idleNodes(platform: string, nodes: readonly NodeState[], routeKey: string): readonly string[] {
  const idlest = Math.min(...nodes.map(({ builds }) => builds));
  const idle = nodes.filter((node) => busy(node, idlest) === 0 && node.native.includes(platform));
  return rankByKey(
    idle.map(({ name }) => name),
    routeKey,
  );
}

function busy({ builds }: NodeState, idlest: number): number {
  return builds - idlest > BUSY_MARGIN ? 1 : 0;
}

/** Platforms by the nodes that build them, so that one build a node does for all of its platforms. */
export function groupByNode(assignments: readonly Assignment[]): readonly {
  readonly nodes: readonly string[];
  readonly platforms: readonly string[];
}[] {
  const groups = new Map<string, { nodes: readonly string[]; platforms: string[] }>();
  for (const { platform, nodes } of assignments) {
    const [first = ''] = nodes;
    const group = groups.get(first);
    if (group === undefined) groups.set(first, { nodes, platforms: [platform] });
    else {
      group.platforms.push(platform);
      // Who takes over must be able to build all of it.
      group.nodes = group.nodes.filter((node) => nodes.includes(node));
    }
  }
  return [...groups.values()];
}
