/** The table of contents of an eStargz blob (stargz-snapshotter, docs/estargz.md): JSON, in a tar entry of its own. */
import type { Digest } from '../../contracts/index.ts';
import type { TarEntryType, TarHeader } from '../tar/types.ts';
import type { Chunk, SplitEntry } from './members.ts';
import { CHUNK_SIZE } from './members.ts';

interface TocEntry {
  readonly name: string;
  readonly type: string;
  readonly size?: number | undefined;
  /** RFC 3339, whole seconds. */
  readonly modtime?: string | undefined;
  readonly linkName?: string | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly devMajor?: number | undefined;
  readonly devMinor?: number | undefined;
  /** Base64. */
  readonly xattrs?: Readonly<Record<string, string>> | undefined;
  readonly digest?: Digest | undefined;
  /** Of the gzip member that begins with the content, in the blob. */
  readonly offset?: number | undefined;
  readonly chunkOffset?: number | undefined;
  readonly chunkSize?: number | undefined;
  readonly chunkDigest?: Digest | undefined;
}

/** A chunk, and where its member is in the blob. */
export interface PlacedChunk {
  readonly chunk: Chunk;
  readonly offset: number;
}

const TYPES: Readonly<Record<TarEntryType, string>> = {
  file: 'reg',
  hardlink: 'hardlink',
  symlink: 'symlink',
  directory: 'dir',
  'char-device': 'char',
  'block-device': 'block',
  fifo: 'fifo',
};

/** @param chunks In the order of the blob. */
export function encodeToc(entries: readonly SplitEntry[], chunks: readonly PlacedChunk[]): Uint8Array {
  const toc: TocEntry[] = [];
  let next = 0;
  for (const [i, { header, digest }] of entries.entries()) {
    const own: PlacedChunk[] = [];
    for (let placed = chunks[next]; placed?.chunk.entry === i; placed = chunks[++next]) own.push(placed);
    const [first, ...more] = own;
    toc.push({ ...describe(header), digest, ...(first === undefined ? {} : place(first, header.size)) });
    for (const chunk of more) toc.push({ name: header.name, type: 'chunk', ...place(chunk, header.size) });
  }
  return Buffer.from(JSON.stringify({ version: 1, entries: toc }, undefined, '\t'));
}

function describe(header: TarHeader): TocEntry {
  const { type, name, target, mode, uid, gid, size, mtime, mtimeNsec, major, minor, xattrs } = header;
  const isDevice = type === 'char-device' || type === 'block-device';
  // Nothing is left out that is not 0: Go, which wrote the format, leaves zeros out.
  return {
    name,
    type: TYPES[type],
    size: size || undefined,
    modtime: modtime(mtime + (mtimeNsec >= 500_000_000 ? 1 : 0)),
    linkName: target || undefined,
    mode: mode || undefined,
    uid: uid || undefined,
    gid: gid || undefined,
    devMajor: isDevice ? major || undefined : undefined,
    devMinor: isDevice ? minor || undefined : undefined,
    xattrs:
      xattrs === undefined
        ? undefined
        : Object.fromEntries(Array.from(xattrs, ([key, value]) => [key, Buffer.from(value).toString('base64')])),
  };
}

function modtime(seconds: number): string | undefined {
  if (seconds === 0) return undefined;
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : `${date.toISOString().slice(0, -'.000Z'.length)}Z`;
}

function place({ chunk, offset }: PlacedChunk, fileSize: number): Partial<TocEntry> {
  const isFull = fileSize - chunk.offset >= CHUNK_SIZE;
  return {
    offset,
    chunkOffset: chunk.offset || undefined,
    chunkSize: isFull ? chunk.size : undefined,
    chunkDigest: chunk.digest,
  };
}
