/**
 * Content lists as bytes: what is behind a content digest, path by path, so that a later build can name the file that
 * changed. Digests are cut to what tells two versions of a file apart.
 *
 *     "SLCL" | u32 version | u32 entries | u32 bytes of facts | u32 bytes of paths | facts | paths | u32 fact of each |
 *     8 bytes of digest of each; all after the header deflated
 *
 * Facts (type, mode, owner, ...) are a JSON array of the few combinations that there are; paths are joined with NUL, in the
 * file system's bytes.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { decodePath, encodePathBytes } from '../sys/path.ts';
import type { ContentListEntry } from './types.ts';

const MAGIC = 0x4c434c53; // "SLCL"
const VERSION = 1;
const HEADER_WORDS = 5;
const HEADER = HEADER_WORDS * 4;
const DIGEST_BYTES = 8;

type Facts = Omit<ContentListEntry, 'path' | 'digest'>;

export function encodeContentList(entries: readonly ContentListEntry[]): Uint8Array {
  const known = new Map<string, number>();
  const facts: string[] = [];
  const indices = new Uint32Array(entries.length);
  const digests = Buffer.alloc(entries.length * DIGEST_BYTES);
  const paths: string[] = [];
  let last: ContentListEntry | undefined;
  for (const [i, entry] of entries.entries()) {
    const { digest, type, mode, owner, target, xattrs } = entry;
    paths.push(entry.path);
    if (digest !== undefined) digests.write(digest, i * DIGEST_BYTES, DIGEST_BYTES, 'hex');
    const isAsLast =
      last !== undefined &&
      last.type === type &&
      last.mode === mode &&
      last.owner === owner &&
      last.target === target &&
      last.xattrs === xattrs;
    if (isAsLast) {
      indices[i] = indices[i - 1] ?? 0;
      continue;
    }
    last = entry;
    // Links apart there are few: a key that is quickly made tells whether these are known.
    const name = `${type} ${mode ?? ''} ${owner ?? ''} ${xattrs ?? ''} ${target ?? ''}`;
    let index = known.get(name);
    if (index === undefined) {
      index = facts.push(JSON.stringify({ type, mode, owner, target, xattrs } satisfies Facts)) - 1;
      known.set(name, index);
    }
    indices[i] = index;
  }
  const factBytes = Buffer.from(`[${facts.join(',')}]`, 'utf8');
  const pathBytes = encodePathBytes(paths.join('\0'));
  const header = Uint32Array.of(MAGIC, VERSION, entries.length, factBytes.length, pathBytes.length);
  const body = Buffer.concat([factBytes, pathBytes, Buffer.from(indices.buffer), digests]);
  return Buffer.concat([Buffer.from(header.buffer), deflateRawSync(body, { level: 1 })]);
}

/** Undefined when the bytes are no content list that this version can read. */
export function decodeContentList(bytes: Uint8Array): readonly ContentListEntry[] | undefined {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.length < HEADER || data.readUInt32LE(0) !== MAGIC || data.readUInt32LE(4) !== VERSION) return undefined;
  const [count, factLength, pathLength] = [data.readUInt32LE(8), data.readUInt32LE(12), data.readUInt32LE(16)];
  const body = inflateRawSync(data.subarray(HEADER));
  const facts = JSON.parse(body.toString('utf8', 0, factLength)) as readonly Facts[];
  const paths = count === 0 ? [] : decodePath(body.subarray(factLength, factLength + pathLength)).split('\0');
  const from = factLength + pathLength;
  const digestsFrom = from + count * 4;
  return paths.map((path, i) => {
    const own = facts[body.readUInt32LE(from + i * 4)] ?? { type: 'file' as const };
    if (own.type !== 'file') return { path, ...own };
    const at = digestsFrom + i * DIGEST_BYTES;
    return { path, ...own, digest: body.toString('hex', at, at + DIGEST_BYTES) };
  });
}
