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
  const parts: Uint8Array[] = [];
  for (const [path, digest] of digests) {
    const utf8 = Buffer.from(path, 'utf8');
    const lossy = utf8.length !== path.length && utf8.toString('utf8') !== path;
    const name = lossy ? Buffer.from(path, 'utf16le') : utf8;
    // A path of 32 KiB or more cannot be opened either; its digest is simply not kept.
    if (name.length >= UTF16) continue;
    const length = Buffer.alloc(2);
    length.writeUInt16LE(name.length | (lossy ? UTF16 : 0));
    parts.push(length, name, Buffer.from(digest.slice(7), 'hex'));
  }
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt32LE(crc32(body), 4);
  return Buffer.concat([header, body]);
}

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
