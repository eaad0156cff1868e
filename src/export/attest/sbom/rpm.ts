/**
 * rpm's database in the form that it has had since rpm 4.16: SQLite, a row a package with its header. Older forms (Berkeley
 * DB, ndb) are only noticed.
 */
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import type { TreePath } from '../../../contracts/index.ts';
import type { FoundPackage } from './types.ts';

/** More than any system has, and than any header is: what is beyond is damage or malice. */
const PACKAGES_MAX = 100_000;
const HEADER_MAX = 64 << 20;
const ENTRIES_MAX = 65_536;

/** Tags and types of headers (rpm: rpmtag.h). */
const TAGS = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  vendor: 1011,
  license: 1014,
  url: 1020,
  architecture: 1022,
  source: 1044,
} as const;
const INT32 = 4;
const STRING = 6;
const LOCALIZED = 9;

/** @returns Undefined for a file that is no such database. */
export function readRpmDatabase(file: string, path: TreePath): readonly FoundPackage[] | undefined {
  // Nothing is written beside the file, whatever journal it had.
  const url = pathToFileURL(file);
  url.search = 'immutable=1';
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(url, { readOnly: true });
    // The file is the image's: what its schema says is not to run.
    database.exec('PRAGMA trusted_schema = OFF');
    const rows = database.prepare(
      `SELECT blob FROM Packages WHERE length(blob) <= ${HEADER_MAX} LIMIT ${PACKAGES_MAX}`,
    );
    const found: FoundPackage[] = [];
    for (const { blob } of rows.iterate()) {
      if (blob instanceof Uint8Array) found.push(...parseRpmHeader(blob, path));
    }
    return found;
  } catch {
    return undefined;
  } finally {
    database?.close();
  }
}

/** A header without its magic: two counts, the index, the data (rpm: header format). Keys of signatures are no packages. */
export function parseRpmHeader(bytes: Uint8Array, path: TreePath): readonly FoundPackage[] {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.length < 8) return [];
  const count = data.readUInt32BE(0);
  const store = 8 + count * 16;
  if (count > ENTRIES_MAX || store > data.length) return [];
  const fields = new Map<number, string>();
  for (let i = 0; i < count; i++) {
    const at = 8 + i * 16;
    const [tag, type, offset] = [data.readUInt32BE(at), data.readUInt32BE(at + 4), data.readUInt32BE(at + 8)];
    const start = store + offset;
    if (start >= data.length) continue;
    if (type === INT32 && start + 4 <= data.length) fields.set(tag, String(data.readUInt32BE(start)));
    else if (type === STRING || type === LOCALIZED) {
      const end = data.indexOf(0, start);
      if (end !== -1) fields.set(tag, data.toString('utf8', start, end));
    }
  }
  const name = fields.get(TAGS.name);
  const version = fields.get(TAGS.version);
  if (!name || version === undefined || name === 'gpg-pubkey') return [];
  const release = fields.get(TAGS.release);
  return [
    {
      type: 'rpm',
      name,
      version: release === undefined ? version : `${version}-${release}`,
      epoch: fields.get(TAGS.epoch),
      architecture: fields.get(TAGS.architecture),
      license: fields.get(TAGS.license),
      supplier: fields.get(TAGS.vendor),
      homepage: fields.get(TAGS.url),
      source: fields.get(TAGS.source),
      path,
    },
  ];
}
