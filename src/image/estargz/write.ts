/**
 * A tar as an eStargz blob: an ordinary gzip stream of many members, so that a snapshotter can read single files of an
 * image that it has not pulled. The tar is kept byte by byte, as BuildKit does (`AppendTarLossLess`); behind its end
 * follow the table of contents and a footer that says where that is (stargz-snapshotter, docs/estargz.md).
 */
import { createHash } from 'node:crypto';
import { gzip, gzipSync } from 'node:zlib';
import type { Digest } from '../../contracts/index.ts';
import { digestOf } from '../chain-id.ts';
import { inOrder } from '../in-order.ts';
import { TAR_END, encodeTarHeader } from '../tar/write.ts';
import { paddingOf } from '../tar/types.ts';
import { MemberSplitter, TOC_NAME } from './members.ts';
import type { Member } from './members.ts';
import { TOC_DIGEST, UNCOMPRESSED_SIZE } from './toc-annotations.ts';
import { encodeToc } from './toc.ts';
import type { PlacedChunk } from './toc.ts';

export interface Estargz {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Once `bytes` has ended. */
  result(): EstargzResult;
}

export interface EstargzResult {
  /** Of all that the blob unpacks to: the tar, and the table behind it. */
  readonly diffId: Digest;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Up to here a trip to the thread pool costs more than it saves. Bytes. */
const SYNC_SIZE = 16 * 1024;
/** Members in work at once. */
const IN_WORK = 5;
const OS_BYTE = 9;
const OS_UNKNOWN = 0xff;

/**
 * @param tar Its pieces may be used again once the next one was asked for, or `release` was called.
 * @param name What the tar is, for errors.
 */
export function writeEstargz(
  tar: AsyncIterable<Uint8Array>,
  {
    level,
    name,
    release,
  }: { readonly level: number; readonly name: string; readonly release?: ((chunk: Uint8Array) => void) | undefined },
): Estargz {
  let result: EstargzResult | undefined;
  const hash = createHash('sha256');
  let uncompressed = 0;

  async function* members(splitter: MemberSplitter): AsyncGenerator<Member> {
    for await (const piece of tar) {
      hash.update(piece);
      uncompressed += piece.length;
      yield* splitter.feed(piece);
      release?.(piece);
    }
    yield* splitter.end();
  }

  async function* write(): AsyncGenerator<Uint8Array> {
    const splitter = new MemberSplitter(name);
    const chunks: PlacedChunk[] = [];
    let offset = 0;
    const compressed = inOrder(members(splitter), IN_WORK, async (member) => ({
      member,
      bytes: await gzipMember(member, level),
    }));
    for await (const { member, bytes } of compressed) {
      if (member.chunk !== undefined) chunks.push({ chunk: member.chunk, offset });
      if (bytes.length === 0) continue;
      yield bytes;
      offset += bytes.length;
    }
    const toc = encodeToc(splitter.entries, chunks);
    const entry = tocEntry(toc);
    hash.update(entry);
    yield withoutSystem(gzipSync(entry, { level }));
    yield footer(offset);
    result = {
      diffId: `sha256:${hash.digest('hex')}`,
      annotations: {
        [TOC_DIGEST]: digestOf(toc),
        [UNCOMPRESSED_SIZE]: String(uncompressed + entry.length),
      },
    };
  }

  return {
    bytes: write(),
    result() {
      if (result === undefined) throw new RangeError('the blob is not written yet');
      return result;
    },
  };
}

function gzipMember({ pieces, size }: Member, level: number): Promise<Uint8Array> {
  if (size === 0) return Promise.resolve(new Uint8Array(0));
  const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces, size);
  if (size <= SYNC_SIZE) return Promise.resolve(withoutSystem(gzipSync(bytes, { level })));
  return new Promise((resolve, reject) =>
    gzip(bytes, { level }, (error, data) => (error === null ? resolve(withoutSystem(data)) : reject(error))),
  );
}

/** The same bytes whatever system made them (RFC 1952, OS). */
function withoutSystem(member: Buffer): Buffer {
  member[OS_BYTE] = OS_UNKNOWN;
  return member;
}

/** The table as a file of a tar of its own. */
function tocEntry(toc: Uint8Array): Uint8Array {
  const rest = { target: '', uid: 0, gid: 0, mode: 0, mtime: 0, mtimeNsec: 0, major: 0, minor: 0 };
  const header = encodeTarHeader({ type: 'file', name: TOC_NAME, size: toc.length, ...rest });
  return Buffer.concat([header, toc, Buffer.alloc(paddingOf(toc.length)), TAR_END]);
}

/** 51 bytes: an empty gzip member whose extra field has the place of the table, in hexadecimal. */
function footer(tocOffset: number): Uint8Array {
  const place = Buffer.from(`${tocOffset.toString(16).padStart(16, '0')}STARGZ`, 'latin1');
  const extra = Buffer.concat([Buffer.from('SG', 'latin1'), uint16(place.length), place]);
  const head = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, OS_UNKNOWN]);
  const emptyBlock = Buffer.from([1, 0, 0, 0xff, 0xff]);
  return Buffer.concat([head, uint16(extra.length), extra, emptyBlock, Buffer.alloc(8)]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
