/** Records of builds, the graphs they had, and lists of what their steps read. */
import { decodeContentList } from './content-list.ts';
import type { Database, Row } from './database.ts';
import type { BuildRow, Store } from './types.ts';

/** Builds that are remembered. */
export const BUILDS_KEPT = 200;
/** Old builds are removed so many at a time. */
const BUILDS_SLACK = 20;
/** Bytes of all content lists together; the oldest go first. */
const LISTS_KEPT = 64 << 20;
/** After a list of so many bytes the total is looked at. */
const LARGE_LIST = 256 << 10;
/** A list may belong to a build that is still running, milliseconds. */
const LIST_GRACE = 24 * 60 * 60 * 1000;

const SAVE = `
INSERT INTO build (id, created, lineage, graph, summary, data) VALUES (:id, :created, :lineage, :graph, :summary, :data)`;
const SAVE_GRAPH = 'INSERT OR IGNORE INTO build_graph (id, data) VALUES (:id, :data)';
const SAVE_GRAPH_CONTENT = 'INSERT OR IGNORE INTO build_graph_content (graph, content) VALUES (:graph, :content)';
const SAVE_LIST = `
INSERT OR IGNORE INTO content_list (content, created, size, data) VALUES (:content, :created, :size, :data)`;
const NEWEST_FIRST = 'ORDER BY created DESC, rowid DESC';
const PRUNE_LISTS = `
DELETE FROM content_list WHERE content IN (
  SELECT content FROM (
    SELECT content, sum(size) OVER (ORDER BY created DESC, content) AS total FROM content_list
  ) WHERE total > :bytes)`;
const PRUNE: readonly string[] = [
  `DELETE FROM build WHERE rowid NOT IN (SELECT rowid FROM build ${NEWEST_FIRST} LIMIT :keep)`,
  'DELETE FROM build_graph WHERE id NOT IN (SELECT graph FROM build WHERE graph IS NOT NULL)',
  'DELETE FROM build_graph_content WHERE graph NOT IN (SELECT id FROM build_graph)',
  `DELETE FROM content_list
   WHERE created < :before AND content NOT IN (SELECT content FROM build_graph_content)`,
  PRUNE_LISTS,
];

type BuildsPart = Pick<
  Store,
  | 'saveBuild'
  | 'builds'
  | 'build'
  | 'pruneBuilds'
  | 'hasBuildGraph'
  | 'readBuildGraph'
  | 'hasContentList'
  | 'saveContentList'
  | 'readContentList'
>;

/** The build record part of the store. Nothing of it makes a batch of its own: it is written with the next, or at `close`. */
export function createBuilds(db: Database): BuildsPart {
  // What waits for the next batch.
  const lists = new Map<string, Uint8Array>();
  db.onFlushed(() => lists.clear());

  function pruneBuilds(keep: number): void {
    const values = { keep, before: Date.now() - LIST_GRACE, bytes: LISTS_KEPT };
    for (const statement of PRUNE) db.writeLater(statement, values);
  }

  return {
    saveBuild(row, graph) {
      if (graph !== undefined) {
        db.writeLater(SAVE_GRAPH, { id: graph.id, data: graph.data });
        for (const content of graph.contents) db.writeLater(SAVE_GRAPH_CONTENT, { graph: graph.id, content });
      }
      const { id, created, lineage, summary, data } = row;
      db.writeLater(SAVE, { id, created, lineage, graph: row.graph ?? null, summary, data });
      const count = Number(db.get('SELECT count(*) AS count FROM build')?.['count'] ?? 0);
      if (count >= BUILDS_KEPT + BUILDS_SLACK) pruneBuilds(BUILDS_KEPT);
    },
    builds({ lineage, before, limit } = {}) {
      const rows = db.all(
        `SELECT id, created, lineage, graph, summary, '' AS data FROM build
         WHERE (?1 IS NULL OR lineage = ?1)
           AND (?2 IS NULL OR (created, rowid) < (SELECT created, rowid FROM build WHERE id = ?2))
         ${NEWEST_FIRST} LIMIT ?3`,
        lineage ?? null,
        before ?? null,
        limit ?? -1,
      );
      return rows.map(buildOf);
    },
    build(id) {
      const row = db.get('SELECT * FROM build WHERE id = ?', id);
      return row === undefined ? undefined : buildOf(row);
    },
    pruneBuilds,
    hasBuildGraph: (id) => db.get('SELECT id FROM build_graph WHERE id = ?', id) !== undefined,
    readBuildGraph(id) {
      const data = db.get('SELECT data FROM build_graph WHERE id = ?', id)?.['data'];
      return data instanceof Uint8Array ? data : undefined;
    },
    hasContentList: (content) =>
      lists.has(content) || db.get('SELECT content FROM content_list WHERE content = ?', content) !== undefined,
    saveContentList(content, list) {
      const data = list.encode();
      lists.set(content, data);
      db.writeLater(SAVE_LIST, { content, created: Date.now(), size: data.length, data });
      if (data.length > LARGE_LIST) db.writeLater(PRUNE_LISTS, { bytes: LISTS_KEPT });
    },
    readContentList(content) {
      const data = lists.get(content) ?? db.get('SELECT data FROM content_list WHERE content = ?', content)?.['data'];
      return data instanceof Uint8Array ? decodeContentList(data) : undefined;
    },
  };
}

function buildOf(row: Row): BuildRow {
  return {
    id: String(row['id']),
    created: Number(row['created']),
    lineage: String(row['lineage']),
    graph: typeof row['graph'] === 'string' ? row['graph'] : undefined,
    summary: String(row['summary']),
    data: String(row['data']),
  };
}
