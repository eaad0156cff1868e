import type { PruneReport, Store, UsageItem } from '../../store/index.ts';
import { withStore } from '../with-store.ts';
import type { HostOptions } from '../options.ts';
import { parseFilters, parseKeepStorage, parseProject, parseUntil } from './usage-words.ts';

export type { PruneReport } from '../../store/index.ts';

export interface PruneOptions extends HostOptions {
  /** `KEY=VALUE` as of `docker builder prune`: `type=step`, `description~=npm`, `until=24h`, ... All must hold. */
  readonly filters?: readonly string[] | undefined;
  /** Stop when the cache is no larger: `10GB`, `20%` of the file system. */
  readonly keepStorage?: string | undefined;
  /** Only what was not used since: `24h`, `7d`, `2026-01-31`. */
  readonly until?: string | undefined;
  /** Only what was made for this build context: its directory, or its id. */
  readonly project?: string | undefined;
  /** Also steps whose files an image needs anyway. */
  readonly all?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  /** Base of relative paths; default: the process's. */
  readonly cwd?: string | undefined;
  /** Hears in words of another process that keeps this one waiting. */
  readonly onWait?: ((message: string) => void) | undefined;
}

/**
 * Removes what later builds would have found, and what nothing needs. Images that somebody named and what running builds use
 * stay, whatever is asked for.
 * Errors: `usage`, `store`.
 */
export async function prune(options: PruneOptions = {}): Promise<PruneReport> {
  const now = Date.now();
  const filter = parseFilters(options.filters ?? [], now);
  const project =
    options.project === undefined ? undefined : parseProject(options.project, options.cwd ?? process.cwd());
  const keep = options.keepStorage === undefined ? undefined : parseKeepStorage(options.keepStorage, '--keep-storage');
  const until = options.until === undefined ? undefined : parseUntil(options.until, now);
  const times = [until, filter?.unusedSince].filter((time) => time !== undefined);
  const matches = (item: UsageItem): boolean =>
    (filter === undefined || filter.matches(item)) && (project === undefined || item.project === project);
  const isFiltered = project !== undefined || (filter !== undefined && filter.chooses);
  const work = async (store: Store): Promise<PruneReport> => {
    const report = await store.prune({
      matches: isFiltered ? matches : undefined,
      unusedSince: times.length === 0 ? undefined : Math.min(...times),
      keepStorage: keep,
      all: options.all,
      dryRun: options.dryRun,
      signal: options.signal,
    });
    if (!isFiltered && keep === undefined && options.dryRun !== true) pruneRecords(store, options.all === true, until);
    return report;
  };
  return await withStore(options, work, options.onWait);
}

/** Records of builds take little room: they go with everything, or with what is as old. */
function pruneRecords(store: Store, all: boolean, until: number | undefined): void {
  if (until !== undefined) store.pruneBuilds(store.builds().filter(({ created }) => created >= until).length);
  else if (all) store.pruneBuilds(0);
}
