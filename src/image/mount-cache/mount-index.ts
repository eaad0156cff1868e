import { BuildError, EMPTY_DIGEST, isDigest } from '../../contracts/index.ts';
import type { Digest, TreePath } from '../../contracts/index.ts';
import { JsonReader } from '../json.ts';
import type { Subject } from '../json.ts';

/** Media types: of the manifest's config, of the index, of packs. */
export const MOUNT_CONFIG = 'application/vnd.slipway.cachemount.config.v1+json';
export const MOUNT_INDEX = 'application/vnd.slipway.cachemount.index.v1+zstd';
export const MOUNT_PACK = 'application/vnd.slipway.cachemount.pack.v1+zstd';

const VERSION = 1;
/** Of an index, uncompressed. */
export const INDEX_SIZE_MAX = 512 << 20;
const ENTRIES_MAX = 4_000_000;
/** A manifest names no more layers (image/documents.ts), and one of them is the index. */
export const PACKS_MAX = 900;
const PATH_MAX = 4096;

/** What is at a path of a cache mount; `''` is its root. Devices, sockets, pipes and extended attributes do not travel. */
export type MountEntry = MountMeta &
  (
    | { readonly type: 'directory' }
    | { readonly type: 'file'; readonly size: number; readonly digest: Digest }
    | { readonly type: 'symlink'; readonly target: string }
  );

export interface MountMeta {
  /** 0..0o7777 */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly mtimeNsec: number;
}

/** Contents of files, one after the other, in one blob. Some may belong to no file any more. */
export interface MountPack {
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  readonly contents: readonly { readonly digest: Digest; readonly size: number }[];
}

export interface MountIndex {
  /** Parents before children. */
  readonly entries: ReadonlyMap<TreePath, MountEntry>;
  readonly packs: readonly MountPack[];
}

type Row = readonly [
  path: string,
  type: 'd' | 'f' | 'l',
  mode: number,
  uid: number,
  gid: number,
  mtime: number,
  nsec: number,
  ...rest: (string | number)[],
];
const TYPES = { directory: 'd', file: 'f', symlink: 'l' } as const;

/** Files name their content by its number, counted through all packs. */
export function encodeMountIndex({ entries, packs }: MountIndex): Uint8Array {
  const numbers = new Map<Digest, number>();
  let next = 0;
  for (const { contents } of packs) {
    for (const { digest } of contents) {
      if (!numbers.has(digest)) numbers.set(digest, next);
      next++;
    }
  }
  const rows: Row[] = [];
  for (const [path, entry] of entries) {
    const { type, mode, uid, gid, mtime, mtimeNsec } = entry;
    const meta = [path, TYPES[type], mode, uid, gid, mtime, mtimeNsec] as const;
    if (entry.type === 'directory') rows.push(meta);
    else if (entry.type === 'symlink') rows.push([...meta, entry.target]);
    else {
      const number = entry.size === 0 ? -1 : numbers.get(entry.digest);
      if (number === undefined) throw new BuildError({ code: 'internal', message: `no pack holds ${entry.digest}` });
      rows.push([...meta, number]);
    }
  }
  const encodedPacks = packs.map(({ digest, size, contents }) => ({
    digest,
    size,
    contents: contents.map((content) => [shortDigest(content.digest), content.size]),
  }));
  return Buffer.from(JSON.stringify({ version: VERSION, packs: encodedPacks, entries: rows }));
}

/**
 * @param bytes Uncompressed.
 * @throws BuildError `hostile` (or `subject.code`): a path that leaves the mount, an entry without its directory, ...
 */
export function decodeMountIndex(bytes: Uint8Array, subject: Subject): MountIndex {
  const json = new JsonReader({ code: 'hostile', ...subject });
  const root = json.object(json.parse(bytes, INDEX_SIZE_MAX), 'document');
  if (root['version'] !== VERSION) throw json.fail(`is of version ${String(root['version'])}`);
  const packs = json.array(root['packs'], 'packs', PACKS_MAX).map((item, i): MountPack => {
    const at = `packs[${i}]`;
    const object = json.object(item, at);
    return {
      digest: json.digest(object['digest'], `${at}.digest`),
      size: json.size(object['size'], `${at}.size`),
      contents: json.array(object['contents'], `${at}.contents`, ENTRIES_MAX).map((pair) => {
        const [digest, size] = json.array(pair, `${at}.contents`, 2);
        return { digest: longDigest(json, digest, at), size: json.size(size, `${at}.contents`) };
      }),
    };
  });
  const contents = packs.flatMap((pack) => pack.contents);
  const entries = new Map<TreePath, MountEntry>();
  for (const item of json.array(root['entries'], 'entries', ENTRIES_MAX)) {
    const [path, type, mode, uid, gid, mtime, mtimeNsec, last] = json.array(item, 'entries', 8);
    const name = checkedPath(json, path, entries);
    const at = `entries ${JSON.stringify(name)}`;
    const meta = {
      mode: bounded(json, mode, 0o7777, at),
      uid: bounded(json, uid, 0xffffffff, at),
      gid: bounded(json, gid, 0xffffffff, at),
      mtime: json.integer(mtime, at) ?? 0,
      mtimeNsec: bounded(json, mtimeNsec, 999_999_999, at),
    };
    if (type === 'd') entries.set(name, { ...meta, type: 'directory' });
    else if (name === '') throw json.fail('has a root that is no directory');
    else if (type === 'l') entries.set(name, { ...meta, type: 'symlink', target: linkText(json, last, at) });
    else if (type === 'f') {
      const content =
        last === -1 ? { digest: EMPTY_DIGEST, size: 0 } : contents[bounded(json, last, contents.length, at)];
      if (content === undefined) throw json.fail(`has a file without content: ${at}`);
      entries.set(name, { ...meta, type: 'file', ...content });
    } else throw json.fail(`has an unknown type: ${at}`);
  }
  return { entries, packs };
}

/** Clean, below the root, in a directory that came before. */
function checkedPath(json: JsonReader, value: unknown, entries: ReadonlyMap<TreePath, MountEntry>): TreePath {
  const path = json.string(value, 'entries.path');
  if (entries.has(path)) throw json.fail(`has ${JSON.stringify(path)} twice`);
  if (path === '') return path;
  const isClean =
    path.length <= PATH_MAX &&
    !path.includes('\0') &&
    path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
  if (!isClean) throw json.fail(`has the path ${JSON.stringify(path)}`);
  const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
  if (entries.get(parent)?.type !== 'directory') throw json.fail(`has no directory for ${JSON.stringify(path)}`);
  return path;
}

function linkText(json: JsonReader, value: unknown, at: string): string {
  const text = json.string(value, at);
  if (text === '' || text.length > PATH_MAX || text.includes('\0')) throw json.fail(`has a link of no use: ${at}`);
  return text;
}

function bounded(json: JsonReader, value: unknown, most: number, at: string): number {
  const number = json.integer(value, at);
  if (number === undefined || number < 0 || number > most) throw json.fail(`has a number out of range: ${at}`);
  return number;
}

/** 43 characters rather than 71, of many. */
function shortDigest(digest: Digest): string {
  return Buffer.from(digest.slice('sha256:'.length), 'hex').toString('base64url');
}

function longDigest(json: JsonReader, value: unknown, at: string): Digest {
  const text = json.string(value, `${at}.contents`);
  const digest = `sha256:${Buffer.from(text, 'base64url').toString('hex')}`;
  if (!isDigest(digest)) throw json.fail(`has no digest in ${at}.contents`);
  return digest;
}
