/** Raised with each change of the tables; an older slipway refuses a newer one. */
export const SCHEMA_VERSION = 1;

/**
 * `seq` is the number of the batch that wrote a row: after a loss of power it tells rows whose files were surely on disk
 * from those whose files have to be verified (`settle.ts`). `used` is the last access, milliseconds since the epoch.
 */
export const SCHEMA = `
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
