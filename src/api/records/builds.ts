import { inflateRawSync } from 'node:zlib';
import { BuildError } from '../../contracts/index.ts';
import type { BuildGraph, ExplainedBuild } from '../../solver/index.ts';
import type { BuildRow, Store } from '../../store/index.ts';
import type { BuildData, BuildSummary } from './build-data.ts';
import { withStore } from '../with-store.ts';
import type { HostOptions } from '../options.ts';

/** A build in the list of builds. */
export interface BuildListItem extends BuildSummary {
  readonly id: string;
  /** When it began, milliseconds since the epoch. */
  readonly created: number;
}

/** All that is kept of a build. */
export interface BuildDetails extends BuildListItem {
  readonly graph: BuildGraph;
  readonly data: BuildData;
}

/** The builds that are remembered (the newest 200), newest first. */
export async function listBuilds(options: HostOptions = {}): Promise<readonly BuildListItem[]> {
  return await withStore(options, async (store) => store.builds().flatMap((row) => listItem(row) ?? []));
}

/** @param name As {@link findBuild}. Errors: `usage`. */
export async function inspectBuild(name: string, options: HostOptions = {}): Promise<BuildDetails> {
  return await withStore(options, async (store) => {
    const { item, graph, data } = openBuild(store, name);
    return { ...item, graph, data };
  });
}

export interface OpenedBuild {
  readonly row: BuildRow;
  readonly item: BuildListItem;
  readonly graph: BuildGraph;
  readonly data: BuildData;
}

/**
 * A build by its id or the beginning of it; `latest` and `latest~N` count back from the newest.
 *
 * @throws BuildError `usage` when there is none, or several begin so.
 */
export function openBuild(store: Store, name: string): OpenedBuild {
  const row = store.build(findBuild(store, name));
  const data = row === undefined ? undefined : (parsed(row.data) as BuildData | undefined);
  const item = row === undefined ? undefined : listItem(row);
  if (row === undefined || data === undefined || item === undefined) {
    throw new BuildError({ code: 'store', message: `the record of build ${name} was written by another version` });
  }
  return { row, item, graph: graphOfRow(store, row), data };
}

function findBuild(store: Store, name: string): string {
  const rows = store.builds();
  const back = /^latest(?:~(\d+))?$/.exec(name);
  const found =
    back === null ? rows.filter(({ id }) => id.startsWith(name)) : rows.slice(Number(back[1] ?? 0)).slice(0, 1);
  const exact = found.find(({ id }) => id === name);
  if (exact !== undefined) return exact.id;
  const [only, second] = found;
  if (only !== undefined && second === undefined && name !== '') return only.id;
  throw new BuildError({
    code: 'usage',
    message: only === undefined || name === '' ? `there is no build ${name}` : `several builds begin with ${name}`,
    hint: rows.length === 0 ? 'nothing was built here yet: slipway build .' : 'slipway builds lists them',
  });
}

export function explainedBuild({ item, graph, data }: OpenedBuild): ExplainedBuild {
  return { id: item.id, graph, runs: data.runs, args: data.args };
}

/** Builds of the same lineage before `before` (absent: all there are), the latest first. Those without a graph are left out. */
export function* earlierBuilds(
  store: Store,
  lineage: string,
  before: string | undefined,
): Generator<ExplainedBuild, void> {
  for (const { id } of store.builds({ lineage, before, limit: EARLIER_MAX })) {
    const row = store.build(id);
    const data = row === undefined ? undefined : (parsed(row.data) as BuildData | undefined);
    if (row?.graph === undefined || data === undefined) continue;
    const graph = graphOfRow(store, row);
    if (graph.steps.length > 0) yield { id, graph, runs: data.runs, args: data.args };
  }
}

/** Further back, nothing is compared. */
const EARLIER_MAX = 20;

function listItem(row: BuildRow): BuildListItem | undefined {
  const summary = parsed(row.summary) as BuildSummary | undefined;
  if (summary === undefined) return undefined;
  return { ...summary, id: row.id, created: row.created };
}

function graphOfRow(store: Store, { graph }: BuildRow): BuildGraph {
  const data = graph === undefined ? undefined : store.readBuildGraph(graph);
  return data === undefined ? { version: 1, steps: [] } : decodeGraph(data);
}

/** What `build-record.ts` wrote. A graph of another version is an empty one. */
export function decodeGraph(data: Uint8Array): BuildGraph {
  return (parsed(inflateRawSync(data).toString('utf8')) as BuildGraph | undefined) ?? { version: 1, steps: [] };
}

/** JSON that another version wrote is not read. */
function parsed(text: string): unknown {
  const value = JSON.parse(text) as { readonly version?: unknown };
  return value.version === 1 ? value : undefined;
}
