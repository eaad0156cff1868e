/**
 * Content lists as bytes: what is behind a content digest, path by path, so that a later build can name the file that
 * changed. Digests are cut to what tells two versions of a file apart.
 *
 *     "SLCL" | u32 version | u32 entries | u32 bytes of facts | u32 bytes of paths | u32 bytes of the packed part |
 *     packed with zstd: facts, paths, u32 fact of each | 8 bytes of digest of each
 *
 * Facts (type, mode, owner, ...) are a JSON array of the few combinations that there are; paths are in the file system's
 * bytes, a NUL behind each. Digests are noise: packing them would only take time.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { decodePath, encodePath } from '../sys/path.ts';
import type { TreePath } from '../contracts/index.ts';
import type { ContentListEntry } from './types.ts';

const MAGIC = 0x4c434c53; // "SLCL"
const VERSION = 2;
const HEADER_WORDS = 6;
const HEADER = HEADER_WORDS * 4;
const DIGEST_BYTES = 8;

type Facts = Omit<ContentListEntry, 'path' | 'digest'>;

/** A list of more entries (some millions of bytes) is kept empty: it says that there was too much to list. */
const ENTRIES_MAX = 500_000;

/** Takes entries one by one, and keeps bytes. */
export class ContentListWriter {
  readonly #known = new Map<string, number>();
  readonly #facts: string[] = [];
  readonly #paths = new ByteColumn();
  readonly #indices = new ByteColumn();
  readonly #digests = new ByteColumn();
  #count = 0;
  #last: ContentListEntry | undefined;
  #index = 0;

  add(entry: ContentListEntry): void {
    if (++this.#count > ENTRIES_MAX) return;
    const { digest, type, mode, owner, target, xattrs } = entry;
    this.#paths.path(entry.path);
    this.#digests.hex(digest);
    const last = this.#last;
    const isAsLast =
      last !== undefined &&
      last.type === type &&
      last.mode === mode &&
      last.owner === owner &&
      last.target === target &&
      last.xattrs === xattrs;
    this.#last = entry;
    if (!isAsLast) {
      // Links apart there are few: a key that is quickly made tells whether these are known.
      const name = `${type} ${mode ?? ''} ${owner ?? ''} ${xattrs ?? ''} ${target ?? ''}`;
      const known = this.#known.get(name);
      this.#index =
        known ?? this.#facts.push(JSON.stringify({ type, mode, owner, target, xattrs } satisfies Facts)) - 1;
      if (known === undefined) this.#known.set(name, this.#index);
    }
    this.#indices.word(this.#index);
  }

  /** Adds a path of which the same is to be said as of the last, but for the digest. */
  addLike(path: TreePath, digest: string | undefined): void {
    if (++this.#count > ENTRIES_MAX) return;
    this.#paths.path(path);
    this.#digests.hex(digest);
    this.#indices.word(this.#index);
  }

  encode(): Uint8Array {
    if (this.#count > ENTRIES_MAX) return new ContentListWriter().encode();
    const facts = Buffer.from(`[${this.#facts.join(',')}]`, 'utf8');
    const paths = this.#paths.bytes();
    const params = { [constants.ZSTD_c_compressionLevel]: 1 };
    const packed = zstdCompressSync(Buffer.concat([facts, paths, this.#indices.bytes()]), { params });
    const header = Uint32Array.of(MAGIC, VERSION, this.#count, facts.length, paths.length, packed.length);
    return Buffer.concat([Buffer.from(header.buffer), packed, this.#digests.bytes()]);
  }
}

/** Bytes that become more and more. */
class ByteColumn {
  #buffer = Buffer.allocUnsafeSlow(4096);
  #length = 0;

  path(path: string): void {
    const encoded = encodePath(path);
    this.#reserve(path.length * 3 + 1);
    if (typeof encoded === 'string') this.#length += this.#buffer.write(encoded, this.#length);
    else this.#length += encoded.copy(this.#buffer, this.#length);
    this.#buffer[this.#length++] = 0;
  }

  word(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  /** {@link DIGEST_BYTES}; zeros for none. */
  hex(digits: string | undefined): void {
    this.#reserve(DIGEST_BYTES);
    if (digits === undefined) this.#buffer.fill(0, this.#length, this.#length + DIGEST_BYTES);
    else this.#buffer.write(digits, this.#length, DIGEST_BYTES, 'hex');
    this.#length += DIGEST_BYTES;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(this.#buffer.length * 2 + bytes);
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Undefined when the bytes are no content list that this version can read. */
export function decodeContentList(bytes: Uint8Array): readonly ContentListEntry[] | undefined {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.length < HEADER || data.readUInt32LE(0) !== MAGIC || data.readUInt32LE(4) !== VERSION) return undefined;
  const [count, factLength, pathLength, packed] = [8, 12, 16, 20].map((at) => data.readUInt32LE(at));
  if (count === undefined || factLength === undefined || pathLength === undefined || packed === undefined) {
    return undefined;
  }
  const body = zstdDecompressSync(data.subarray(HEADER, HEADER + packed));
  const digests = data.subarray(HEADER + packed);
  const facts = JSON.parse(body.toString('utf8', 0, factLength)) as readonly Facts[];
  const from = factLength + pathLength;
  const paths = count === 0 ? [] : decodePath(body.subarray(factLength, from - 1)).split('\0');
  // What several sources of a step have in common is listed as often.
  const entries = new Map<string, ContentListEntry>();
  for (const [i, path] of paths.entries()) {
    const own = facts[body.readUInt32LE(from + i * 4)] ?? { type: 'file' as const };
    const digest =
      own.type === 'file' ? { digest: digests.toString('hex', i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES) } : {};
    entries.set(path, { path, ...own, ...digest });
  }
  return [...entries.values()];
}
