/**
 * A tar stream as tokens: an entry, pieces of its content, its end. Synchronous and without copies of content: it is fed
 * with chunks as they come, and asked for tokens until it needs more. Understands ustar, v7, GNU and star headers, GNU
 * long names, base-256 numbers, pax headers and sparse files. Trusts nothing: checksums are verified, sizes bounded.
 */
import { BuildError } from '../../contracts/index.ts';
import type { ErrorCode } from '../../contracts/index.ts';
import { decodePath } from '../../sys/path.ts';
import { FIELDS, checksumFits, isZeroBlock, readNumber, readText } from './fields.ts';
import { parsePax, paxInteger, paxTime, paxXattrs } from './pax.ts';
import type { PaxRecords } from './pax.ts';
import { readOldSparse, readPaxSparse, readSparseExtension, sparseMap, storedSize } from './sparse.ts';
import type { SparseMap, SparseNumbers } from './sparse.ts';
import { SparseMapReader } from './sparse-map-reader.ts';
import { BLOCK, paddingOf } from './types.ts';
import type { TarEntryType, TarHeader } from './types.ts';

export type TarToken =
  | { readonly kind: 'entry'; readonly header: TarHeader }
  /** Valid until the next `feed`. */
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' };

export interface TarOptions {
  /** What the archive is, for errors, as `layer sha256:...`. */
  readonly name?: string | undefined;
  /** Code of errors for damaged archives. Default `hostile`. */
  readonly code?: ErrorCode | undefined;
}

/** Of pax headers and long names; Go's limit too. */
const META_SIZE_MAX = 1024 * 1024;
/** Holes cost nothing in an archive and much on the reading side. */
const SPARSE_SIZE_MAX = 64 * 1024 ** 3;
const ID_MAX = 0xffff_fffe;
const ZEROS = Buffer.alloc(64 * 1024);
const END: TarToken = { kind: 'end' };
const NO_RECORDS: PaxRecords = { values: new Map(), sparse: [] };

const TYPES: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
};

type State = 'header' | 'meta' | 'extension' | 'map' | 'body' | 'done';

export class TarTokenizer {
  readonly #name: string;
  readonly #code: ErrorCode;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Bytes to pass over before the next block: padding. */
  #skip = 0;
  readonly #partial = Buffer.alloc(BLOCK);
  #partialLength = 0;
  #state: State = 'header';
  #zeroBlocks = 0;

  /** The pax header, long name or long link under way. */
  #metaType = '';
  #meta: Buffer = this.#chunk;
  #metaLength = 0;
  #local: PaxRecords | undefined;
  #global = new Map<string, Buffer>();
  #longName: string | undefined;
  #longLink: string | undefined;

  /** Stored bytes of the body still to come. */
  #stored = 0;
  #header: TarHeader | undefined;
  #sparse: SparseMap | undefined;
  #segment = 0;
  #position = 0;
  #sparseNumbers: SparseNumbers = [];
  #mapReader: SparseMapReader | undefined;

  constructor(options: TarOptions = {}) {
    this.#name = options.name ?? 'the archive';
    this.#code = options.code ?? 'hostile';
  }

  /** Gives the next bytes; the chunk before must have been asked empty. */
  feed(chunk: Uint8Array): void {
    this.#chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#at = 0;
  }

  /** True once the end marker was read; what follows it is of no interest. */
  get ended(): boolean {
    return this.#state === 'done';
  }

  /**
   * The next token; undefined when more bytes are needed, or none are wanted.
   * @throws BuildError `hostile` (or the code of the options) for anything that is no sound archive.
   */
  next(): TarToken | undefined {
    while (this.#state !== 'done') {
      if (this.#state === 'body') return this.#nextOfBody();
      if (this.#state === 'meta') {
        if (!this.#fillMeta()) return undefined;
        continue;
      }
      if (this.#skip > 0 && !this.#passOver()) return undefined;
      const block = this.#block();
      if (block === undefined) return undefined;
      const header = this.#take(block);
      if (header !== undefined) return { kind: 'entry', header };
    }
    return undefined;
  }

  /** To be called when there are no more bytes. A missing end marker is no error, as to Go and GNU tar. */
  finish(): void {
    const clean =
      this.#state === 'done' ||
      (this.#state === 'header' && this.#partialLength === 0 && this.#skip === 0 && this.#local === undefined);
    if (!clean) throw this.#damaged('it ends in the middle of an entry');
  }

  #damaged(reason: string): BuildError {
    return new BuildError({ code: this.#code, message: `${this.#name} is no sound tar archive: ${reason}` });
  }

  #passOver(): boolean {
    const step = Math.min(this.#skip, this.#chunk.length - this.#at);
    this.#at += step;
    this.#skip -= step;
    return this.#skip === 0;
  }

  /** The next 512 bytes, from the chunk itself where they lie in it. */
  #block(): Buffer | undefined {
    const available = this.#chunk.length - this.#at;
    if (this.#partialLength === 0 && available >= BLOCK) {
      this.#at += BLOCK;
      return this.#chunk.subarray(this.#at - BLOCK, this.#at);
    }
    const step = Math.min(BLOCK - this.#partialLength, available);
    this.#chunk.copy(this.#partial, this.#partialLength, this.#at, this.#at + step);
    this.#at += step;
    this.#partialLength += step;
    if (this.#partialLength < BLOCK) return undefined;
    this.#partialLength = 0;
    return this.#partial;
  }

  /** A block that is not content: returns the entry that it completes, if any. */
  #take(block: Buffer): TarHeader | undefined {
    if (this.#state === 'extension') return this.#takeExtension(block);
    if (this.#state === 'map') return this.#takeMap(block);
    if (isZeroBlock(block)) {
      this.#zeroBlocks++;
      if (this.#zeroBlocks === 2) this.#state = 'done';
      return undefined;
    }
    if (this.#zeroBlocks > 0) throw this.#damaged('an entry follows the end marker');
    if (!checksumFits(block)) throw this.#damaged('the checksum of a header is wrong');
    const type = block.toString('latin1', FIELDS.type[0], FIELDS.type[0] + 1);
    if (type === 'x' || type === 'X' || type === 'g' || type === 'L' || type === 'K') {
      this.#startMeta(type, this.#number(block, FIELDS.size, 'size'));
      return undefined;
    }
    if (type === 'V') {
      // A volume label: a name and nothing else.
      this.#forgetMeta();
      return undefined;
    }
    return this.#startEntry(block, type);
  }

  #startMeta(type: string, size: number): void {
    if (size < 0 || size > META_SIZE_MAX) throw this.#damaged(`an extended header of ${size} bytes`);
    this.#metaType = type;
    this.#meta = Buffer.allocUnsafe(size);
    this.#metaLength = 0;
    this.#state = 'meta';
  }

  #fillMeta(): boolean {
    const step = Math.min(this.#meta.length - this.#metaLength, this.#chunk.length - this.#at);
    this.#chunk.copy(this.#meta, this.#metaLength, this.#at, this.#at + step);
    this.#at += step;
    this.#metaLength += step;
    if (this.#metaLength < this.#meta.length) return false;
    this.#skip = paddingOf(this.#meta.length);
    this.#state = 'header';
    this.#useMeta(this.#metaType, this.#meta);
    return true;
  }

  #useMeta(type: string, data: Buffer): void {
    if (type === 'L' || type === 'K') {
      const end = data.indexOf(0);
      const text = decodePath(end === -1 ? data : data.subarray(0, end));
      if (type === 'L') this.#longName = text;
      else this.#longLink = text;
      return;
    }
    const records = parsePax(data);
    if (records === undefined) throw this.#damaged('a pax header cannot be read');
    if (type !== 'g') {
      this.#local = records;
      return;
    }
    // Only what is the same for many entries may come from a global header: names and sizes from there would let two
    // readers see two different archives.
    for (const key of ['mtime', 'uid', 'gid']) {
      const value = records.values.get(key);
      if (value !== undefined) this.#global.set(key, value);
    }
  }

  #forgetMeta(): void {
    this.#local = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
  }

  #startEntry(block: Buffer, flag: string): TarHeader | undefined {
    const records = this.#local ?? NO_RECORDS;
    const pax = (key: string): Buffer | undefined => {
      const value = records.values.get(key);
      return value !== undefined && value.length > 0 ? value : undefined;
    };
    const name = this.#text(pax('GNU.sparse.name') ?? pax('path')) ?? this.#longName ?? readName(block);
    let type = TYPES[flag];
    if (type === undefined) {
      throw this.#damaged(`entry ${quote(name)} has the unknown type ${JSON.stringify(flag)}`);
    }
    if (flag === '\0' && name.endsWith('/')) type = 'directory';
    const isFile = type === 'file';
    const isDevice = type === 'char-device' || type === 'block-device';
    const isLink = type === 'symlink' || type === 'hardlink';

    const time = this.#time(pax('mtime') ?? this.#global.get('mtime'), name);
    const stored = this.#integer(pax('size'), 'size') ?? this.#number(block, FIELDS.size, 'size');
    if (stored < 0) throw this.#damaged(`entry ${quote(name)} has a negative size`);
    this.#header = {
      type,
      name,
      target: isLink ? (this.#text(pax('linkpath')) ?? this.#longLink ?? readText(block, FIELDS.linkname)) : '',
      mode: this.#number(block, FIELDS.mode, 'mode') & 0o7777,
      uid: this.#id(block, 'uid', pax('uid'), name),
      gid: this.#id(block, 'gid', pax('gid'), name),
      size: isFile ? stored : 0,
      mtime: time?.seconds ?? this.#number(block, FIELDS.mtime, 'mtime'),
      mtimeNsec: time?.nanoseconds ?? 0,
      major: isDevice ? this.#device(block, FIELDS.major, name) : 0,
      minor: isDevice ? this.#device(block, FIELDS.minor, name) : 0,
      xattrs: paxXattrs(records.values),
    };
    this.#forgetMeta();
    // Other types have no content whatever their size says, as to Go.
    this.#stored = isFile ? stored : 0;
    this.#sparse = undefined;
    return isFile ? this.#startFile(block, flag, records) : this.#startBody(undefined);
  }

  /** Finds the sparse map, if the file has one; it may take further blocks until the entry is complete. */
  #startFile(block: Buffer, flag: string, records: PaxRecords): TarHeader | undefined {
    if (flag === 'S') {
      const old = readOldSparse(block);
      if (old === undefined) throw this.#badSparse();
      this.#sparseNumbers = old.numbers;
      this.#resize(old.size);
      if (!old.more) return this.#startBody(old.numbers);
      this.#state = 'extension';
      return undefined;
    }
    const sparse = readPaxSparse(records);
    if (sparse.kind === 'none') return this.#startBody(undefined);
    if (sparse.kind === 'damaged') throw this.#badSparse();
    this.#resize(sparse.size);
    if (sparse.kind === 'map') return this.#startBody(sparse.numbers);
    this.#mapReader = new SparseMapReader();
    this.#state = 'map';
    return undefined;
  }

  #takeExtension(block: Buffer): TarHeader | undefined {
    const more = readSparseExtension(block, this.#sparseNumbers);
    if (more === undefined) throw this.#badSparse();
    return more ? undefined : this.#startBody(this.#sparseNumbers);
  }

  #takeMap(block: Buffer): TarHeader | undefined {
    this.#stored -= BLOCK;
    const numbers = this.#stored < 0 ? 'damaged' : this.#mapReader?.take(block);
    if (numbers === 'damaged') throw this.#badSparse();
    return numbers === undefined ? undefined : this.#startBody(numbers);
  }

  #resize(size: number): void {
    if (size < 0 || size > SPARSE_SIZE_MAX) throw this.#badSparse();
    if (this.#header !== undefined) this.#header = { ...this.#header, size };
  }

  #badSparse(): BuildError {
    return this.#damaged(`the map of the sparse file ${quote(this.#header?.name ?? '')} cannot be read`);
  }

  #startBody(numbers: SparseNumbers | undefined): TarHeader | undefined {
    if (numbers !== undefined) {
      const map = sparseMap(numbers, this.#header?.size ?? 0);
      if (map === undefined || storedSize(map) !== this.#stored) throw this.#badSparse();
      this.#sparse = map;
      this.#segment = 0;
    }
    this.#position = 0;
    this.#skip = paddingOf(this.#stored);
    this.#state = 'body';
    return this.#header;
  }

  #nextOfBody(): TarToken | undefined {
    const size = this.#header?.size ?? 0;
    if (this.#position === size) {
      this.#state = 'header';
      return END;
    }
    const segment = this.#sparse?.segments[this.#segment];
    if (this.#sparse !== undefined && this.#position < (segment?.offset ?? size)) {
      const hole = Math.min((segment?.offset ?? size) - this.#position, ZEROS.length);
      this.#position += hole;
      return { kind: 'data', bytes: ZEROS.subarray(0, hole) };
    }
    const available = this.#chunk.length - this.#at;
    if (available === 0) return undefined;
    const end = segment === undefined ? size : segment.offset + segment.length;
    const step = Math.min(available, end - this.#position);
    const bytes = this.#chunk.subarray(this.#at, this.#at + step);
    this.#at += step;
    this.#position += step;
    if (segment !== undefined && this.#position === end) this.#segment++;
    return { kind: 'data', bytes };
  }

  #number(block: Buffer, field: readonly [number, number], what: string): number {
    const value = readNumber(block, field);
    if (value === undefined) throw this.#damaged(`the ${what} of a header cannot be read`);
    return value;
  }

  #id(block: Buffer, field: 'uid' | 'gid', own: Buffer | undefined, name: string): number {
    const value = this.#integer(own ?? this.#global.get(field), field) ?? this.#number(block, FIELDS[field], field);
    if (value < 0 || value > ID_MAX) throw this.#damaged(`entry ${quote(name)} has the ${field} ${value}`);
    return value;
  }

  #device(block: Buffer, field: readonly [number, number], name: string): number {
    const value = this.#number(block, field, 'device number');
    if (value < 0 || value > 0xffff_ffff) throw this.#damaged(`entry ${quote(name)} has the device number ${value}`);
    return value;
  }

  #text(value: Buffer | undefined): string | undefined {
    if (value === undefined) return undefined;
    if (value.includes(0)) throw this.#damaged('a name holds a NUL');
    return decodePath(value);
  }

  #integer(value: Buffer | undefined, what: string): number | undefined {
    if (value === undefined) return undefined;
    const number = paxInteger(value);
    if (number === undefined) throw this.#damaged(`the ${what} of a pax header cannot be read`);
    return number;
  }

  #time(value: Buffer | undefined, name: string): ReturnType<typeof paxTime> {
    if (value === undefined) return undefined;
    const time = paxTime(value);
    if (time === undefined) throw this.#damaged(`the time of ${quote(name)} cannot be read`);
    return time;
  }
}

function readName(block: Buffer): string {
  const name = readText(block, FIELDS.name);
  // Only POSIX archives have a prefix; GNU keeps times there.
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const star = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = readText(block, star ? FIELDS.starPrefix : FIELDS.prefix);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}...` : name);
}
