import { BuildError } from '../../contracts/index.ts';
import type { StoreUsage, UsageItem, VerifyReport } from '../../store/index.ts';
import { withStore } from '../with-store.ts';
import type { HostOptions } from '../options.ts';
import { keepStorage, parseFilters } from './usage-words.ts';

export type { StoreProblem, StoreUsage, UsageItem, UsageTotal, UsageType, VerifyReport } from '../../store/index.ts';

export interface DiskUsageOptions extends HostOptions {
  /** As of `prune`; they choose items, the totals are of all. */
  readonly filters?: readonly string[] | undefined;
}

export interface DiskUsage extends StoreUsage {
  /** What the cache may take, bytes; infinite where nothing bounds it. */
  readonly bound: number;
}

/** What takes room in the local store. Errors: `usage`, `store`. */
export async function diskUsage(options: DiskUsageOptions = {}): Promise<DiskUsage> {
  const boundOf = keepStorage(undefined, options.env ?? process.env);
  const filter = parseFilters(options.filters ?? [], Date.now());
  return await withStore(options, async (store) => {
    const found = await store.usage();
    const usage = { ...found, bound: boundOf(found.fileSystem) };
    if (filter === undefined) return usage;
    const { matches, unusedSince = Number.POSITIVE_INFINITY } = filter;
    const isWanted = (item: UsageItem): boolean => matches(item) && item.used < unusedSince;
    return { ...usage, items: usage.items.filter(isWanted) };
  });
}

export interface VerifyStoreOptions extends HostOptions {
  /** Read every blob, and compare every directory with what it should be. */
  readonly deep?: boolean | undefined;
}

/** Whether all that the local store says it has is there. */
export async function verifyStore(options: VerifyStoreOptions = {}): Promise<VerifyReport> {
  return await withStore(options, async (store) => await store.verify(options.deep === true));
}

/** What a report with problems is for whoever wants an error. */
export function storeProblems({ problems }: VerifyReport): BuildError | undefined {
  if (problems.length === 0) return undefined;
  return new BuildError({
    code: 'store',
    message: `the state directory has ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`,
    hint: 'slipway prune --all removes the cache; what an image lacks comes back when it is built again',
    detail: problems.map(({ subject, problem }) => `${subject}: ${problem}`),
  });
}
