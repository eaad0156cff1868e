/**
 * Content digests of a layer's files that were hashed when somebody needed them: a log beside the layer, read once and
 * appended to in one write a batch. Each batch has its checksum, so that a torn end is just ignored.
 *
 *     u32 length of the rest | u32 CRC-32 of the rest | { u16 length, path (UTF-16 when bit 15 is set), 32 bytes } ...
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Digest, LayerId } from '../contracts/index.ts';
import { asBuildError, errnoOf } from '../sys/errno.ts';
import type { StoreLayout } from './layout.ts';
import type { Store } from './types.ts';

const HEADER = 8;
const UTF16 = 0x8000;

/** The digest part of the store. */
export function createDigests(layout: StoreLayout): Pick<Store, 'readDigests' | 'writeDigests'> {
  const loaded = new Map<LayerId, Map<string, Digest>>();

  function load(id: LayerId): Map<string, Digest> {
    let digests = loaded.get(id);
    if (digests === undefined) {
      digests = readLog(layout.digestsPath(id));
      loaded.set(id, digests);
    }
    return digests;
  }

  return {
    readDigests(id, paths) {
      const known = load(id);
      return paths.map((path) => known.get(path));
    },
    writeDigests(id, digests) {
      const known = load(id);
      const fresh = [...digests].filter(([path, digest]) => known.get(path) !== digest);
      if (fresh.length === 0) return;
      try {
        appendFileSync(layout.digestsPath(id), encodeBatch(fresh), { mode: 0o600 });
      } catch (error) {
        throw asBuildError(error);
      }
      for (const [path, digest] of fresh) known.set(path, digest);
    },
  };
}

function encodeBatch(digests: readonly (readonly [string, Digest])[]): Uint8Array {
  // At most three bytes a UTF-16 unit; one allocation, as batches have 100,000 entries at times.
  const bound = digests.reduce((sum, [path]) => sum + 2 + path.length * 3 + 32, HEADER);
  const batch = Buffer.allocUnsafe(bound);
  let at = HEADER;
  for (const [path, digest] of digests) {
    const utf16 = LONE_SURROGATE.test(path);
    const length = batch.write(path, at + 2, utf16 ? 'utf16le' : 'utf8');
    // A path of 32 KiB or more cannot be opened either; its digest is simply not kept.
    if (length >= UTF16) continue;
    batch.writeUInt16LE(length | (utf16 ? UTF16 : 0), at);
    at += 2 + length;
    at += batch.write(digest.slice(7), at, 'hex');
  }
  const used = batch.subarray(0, at);
  used.writeUInt32LE(at - HEADER, 0);
  used.writeUInt32LE(crc32(used.subarray(HEADER)), 4);
  return used;
}

/** A name that is not UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u;

function readLog(path: string): Map<string, Digest> {
  const digests = new Map<string, Digest>();
  let log: Buffer;
  try {
    log = readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return digests;
    throw asBuildError(error);
  }
  for (let at = 0; at + HEADER <= log.length;) {
    const end = at + HEADER + log.readUInt32LE(at);
    const body = log.subarray(at + HEADER, end);
    if (end > log.length || crc32(body) !== log.readUInt32LE(at + 4)) break;
    readBatch(body, digests);
    at = end;
  }
  return digests;
}

function readBatch(body: Buffer, into: Map<string, Digest>): void {
  for (let at = 0; at + 2 <= body.length;) {
    const head = body.readUInt16LE(at);
    const nameEnd = at + 2 + (head & ~UTF16);
    const path = body.toString((head & UTF16) === 0 ? 'utf8' : 'utf16le', at + 2, nameEnd);
    into.set(path, `sha256:${body.toString('hex', nameEnd, nameEnd + 32)}`);
    at = nameEnd + 32;
  }
}
