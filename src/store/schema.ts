/** Raised with each change of the tables; an older slipway refuses a newer one. */
export const SCHEMA_VERSION = 4;

/**
 * `seq` is the number of the batch that wrote a row: after a loss of power it tells rows whose files were surely on disk
 * from those whose files have to be verified (`settle.ts`). `used` is the last access, milliseconds since the epoch.
 */
const VERSION_1 = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('seq', 1), ('settled', 1), ('suspect', '[]'), ('layer-block', 0);

CREATE TABLE blob (
  digest TEXT PRIMARY KEY, size INTEGER NOT NULL, seq INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE layer (
  id TEXT PRIMARY KEY, diff_id TEXT, size INTEGER, dir INTEGER NOT NULL DEFAULT 0,
  seq INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX layer_by_diff_id ON layer (diff_id) WHERE diff_id IS NOT NULL;

CREATE TABLE layer_blob (
  layer TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL, diff_id TEXT NOT NULL,
  annotations TEXT, compressor TEXT,
  PRIMARY KEY (layer, digest)
) WITHOUT ROWID;
CREATE INDEX layer_blob_by_digest ON layer_blob (digest);

CREATE TABLE blob_repository (digest TEXT NOT NULL, repository TEXT NOT NULL, PRIMARY KEY (digest, repository)) WITHOUT ROWID;

CREATE TABLE record (
  key TEXT PRIMARY KEY, outputs TEXT NOT NULL, created INTEGER NOT NULL, description TEXT NOT NULL, inputs TEXT NOT NULL,
  used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX record_by_used ON record (used);
CREATE INDEX record_by_description ON record (description, created);
CREATE TABLE alias (alias TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX alias_by_key ON alias (key);

CREATE TABLE image (
  name TEXT PRIMARY KEY, digest TEXT NOT NULL, media_type TEXT NOT NULL, created INTEGER NOT NULL, origin TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX image_by_digest ON image (digest);

CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** Builds, their graphs (shared by builds that had the same), and what their steps read. */
const VERSION_2 = `
CREATE TABLE build (
  id TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, lineage TEXT NOT NULL, graph TEXT, summary TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX build_by_created ON build (created);
CREATE INDEX build_by_lineage ON build (lineage, created);
CREATE TABLE build_graph (id TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE build_graph_content (graph TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (graph, content)) WITHOUT ROWID;
CREATE TABLE content_list (content TEXT PRIMARY KEY, created INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL);
`;

/**
 * For collection: what is being removed (`gc-collect.ts`), which directory a context is, what directories weighed when
 * they looked as `stamp` says, and who made a record on top of what. `layer.disk` is what its directory takes.
 */
const VERSION_3 = `
CREATE TABLE condemned (kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE context (id TEXT PRIMARY KEY, directory TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE measure (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE layer ADD COLUMN disk INTEGER;
ALTER TABLE record ADD COLUMN parents TEXT NOT NULL DEFAULT '[]';
ALTER TABLE record ADD COLUMN project TEXT;
ALTER TABLE image ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fact ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
`;

/** `record.outputs` may name layers by runs (`record-outputs.ts`), which an older slipway would take for gone. */
const VERSION_4 = '';

/** What makes a database of version i one of version i + 1; each only adds. */
export const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4];
