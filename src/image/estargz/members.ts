/**
 * Cuts a tar for eStargz: what lies before a file's content (headers, padding of the entry before) from pieces of
 * content, so that each piece can be compressed, found and verified for itself.
 */
import { createHash, hash } from 'node:crypto';
import { BuildError } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import { TarTokenizer } from '../tar/tokenizer.ts';
import type { TarHeader } from '../tar/types.ts';

/** The piece of content that a member begins with. */
export interface Chunk {
  /** Index of the entry in the tar. */
  readonly entry: number;
  /** Where in the file it begins, and bytes. */
  readonly offset: number;
  readonly size: number;
  readonly digest: Digest;
}

/** What becomes one gzip member. */
export interface Member {
  /** Undefined for the one before all content. */
  readonly chunk: Chunk | undefined;
  readonly pieces: readonly Uint8Array[];
  readonly size: number;
}

/** An entry of the tar, as it is told of once it has been read whole. */
export interface SplitEntry {
  readonly header: TarHeader;
  /** Of the content; undefined for what has none. */
  readonly digest: Digest | undefined;
}

/** Bytes of content in one member, as estargz cuts it (`defaultChunkSize`). */
export const CHUNK_SIZE = 4 * 1024 * 1024;

export class MemberSplitter {
  readonly entries: SplitEntry[] = [];
  readonly #tokenizer: TarTokenizer;
  readonly #name: string;
  #pieces: Uint8Array[] = [];
  #size = 0;
  #chunk: Omit<Chunk, 'size' | 'digest'> | undefined;
  /** Of the chunk under way: its content, as far as it came. */
  #content = 0;
  #contentHash = createHash('sha256');
  #fileHash = createHash('sha256');
  #filePosition = 0;
  /** The file has several chunks: it has a digest besides theirs. */
  #isLong = false;
  #lastChunk: Digest | undefined;

  /** @param name What the tar is, for errors. */
  constructor(name: string) {
    this.#name = name;
    this.#tokenizer = new TarTokenizer({ name });
  }

  /** @param bytes Copied: they may be used again. */
  *feed(bytes: Uint8Array): Generator<Member> {
    let done = 0;
    const plain = (end: number): void => {
      if (end > done) this.#push(bytes.subarray(done, end));
      done = Math.max(done, end);
    };
    if (!this.#tokenizer.ended) {
      this.#tokenizer.feed(bytes);
      for (let token = this.#tokenizer.next(); token !== undefined; token = this.#tokenizer.next()) {
        if (token.kind === 'entry') this.#startEntry(token.header);
        else if (token.kind === 'end') this.#endEntry();
        else {
          const at = token.bytes.byteOffset - bytes.byteOffset;
          const isOfInput =
            token.bytes.buffer === bytes.buffer && at >= done && at + token.bytes.length <= bytes.length;
          if (!isOfInput) throw this.#sparse();
          plain(at);
          yield* this.#takeContent(token.bytes);
          done = at + token.bytes.length;
        }
      }
    }
    plain(bytes.length);
  }

  /** What is left when there are no more bytes. */
  *end(): Generator<Member> {
    this.#tokenizer.finish();
    yield this.#finishMember();
  }

  #push(piece: Uint8Array): void {
    this.#pieces.push(Buffer.from(piece));
    this.#size += piece.length;
  }

  #startEntry(header: TarHeader): void {
    if (header.name.replace(/^\.?\/+/, '') === TOC_NAME) {
      throw new BuildError({
        code: 'unsupported',
        message: `${this.#name} has a file ${TOC_NAME}, which eStargz needs for itself`,
        hint: 'use compression=gzip or zstd',
      });
    }
    this.entries.push({ header, digest: undefined });
    if (header.size > CHUNK_SIZE) this.#fileHash = createHash('sha256');
    this.#filePosition = 0;
    this.#isLong = header.size > CHUNK_SIZE;
  }

  *#takeContent(bytes: Uint8Array): Generator<Member> {
    for (let at = 0; at < bytes.length;) {
      const inChunk = this.#filePosition % CHUNK_SIZE;
      if (inChunk === 0) {
        yield this.#finishMember();
        this.#chunk = { entry: this.entries.length - 1, offset: this.#filePosition };
        this.#content = 0;
        this.#lastChunk = undefined;
        this.#contentHash = createHash('sha256');
      }
      const piece = bytes.subarray(at, at + Math.min(bytes.length - at, CHUNK_SIZE - inChunk));
      this.#push(piece);
      this.#contentHash.update(piece);
      if (this.#isLong) this.#fileHash.update(piece);
      this.#content += piece.length;
      this.#filePosition += piece.length;
      at += piece.length;
    }
  }

  #endEntry(): void {
    const entry = this.entries.at(-1);
    if (entry === undefined || entry.header.type !== 'file') return;
    const { header } = entry;
    if (this.#filePosition !== header.size) throw this.#sparse();
    this.entries[this.entries.length - 1] = { header, digest: this.#fileDigest(header.size) };
  }

  /** Of a file of one chunk that of the chunk. */
  #fileDigest(size: number): Digest {
    if (size === 0) return EMPTY;
    if (this.#isLong) return `sha256:${this.#fileHash.digest('hex')}`;
    return this.#chunkDigest();
  }

  #chunkDigest(): Digest {
    this.#lastChunk ??= `sha256:${this.#contentHash.digest('hex')}`;
    return this.#lastChunk;
  }

  #finishMember(): Member {
    const { entry, offset } = this.#chunk ?? {};
    const chunk =
      entry === undefined || offset === undefined
        ? undefined
        : { entry, offset, size: this.#content, digest: this.#chunkDigest() };
    const member = { chunk, pieces: this.#pieces, size: this.#size };
    this.#pieces = [];
    this.#size = 0;
    this.#chunk = undefined;
    return member;
  }

  #sparse(): BuildError {
    return new BuildError({
      code: 'unsupported',
      message: `${this.#name} has a sparse file, which eStargz cannot hold`,
      hint: 'use compression=gzip or zstd, or leave force-compression out',
    });
  }
}

export const TOC_NAME = 'stargz.index.json';
const EMPTY: Digest = `sha256:${hash('sha256', new Uint8Array(0), 'hex')}`;
