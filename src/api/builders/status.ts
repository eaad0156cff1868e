/** The doors to what asks daemons: loaded when somebody asks, as HTTP/2 costs more than a cached build. */
import type { builderDiskUsage as DiskUsage, inspectBuilder as Inspect, pruneBuilder as Prune } from './inspect.ts';

export type { BuilderStatus, NodeStatus } from './inspect.ts';

/** Asks every node of a builder. Errors: `usage` when there is no such builder; nodes that are down are not an error. */
export const inspectBuilder: typeof Inspect = async (name, options) =>
  await (await import('./inspect.ts')).inspectBuilder(name, options);

/** What the daemons of a builder keep. Errors: `usage`, `builder`. */
export const builderDiskUsage: typeof DiskUsage = async (name, options) =>
  await (await import('./inspect.ts')).builderDiskUsage(name, options);

/** Removes what no build uses from the daemons of a builder. Errors: `usage`, `builder`. */
export const pruneBuilder: typeof Prune = async (name, options) =>
  await (await import('./inspect.ts')).pruneBuilder(name, options);
