/** Pieces of a plan to the bytes of a tar, in blocks of one size, with synchronous reads: for threads and for little. */
import { createHash, hash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { encodePath } from '../../sys/path.ts';
import { TAR_END } from '../tar/write.ts';
import { paddingOf } from '../tar/types.ts';
import { BODY_KINDS } from './plan.ts';
import type { PlanPiece } from './plan.ts';

export class TarAssembler {
  readonly #hash: Hash = createHash('sha256');
  #block: Uint8Array;
  #used = 0;
  #size = 0;

  /** @param block Where the first bytes go. */
  constructor(block: Uint8Array) {
    this.#block = block;
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size + this.#used;
  }

  /** To be called with an empty block after each block that was handed out. */
  refill(block: Uint8Array): void {
    this.#block = block;
  }

  /**
   * Adds a piece; yields each block that is full, which then is the caller's.
   * @throws BuildError `context` when a file of the user changed, `store` when one of ours is not what it should be.
   */
  *add({ headers, at, sizes, kinds, paths, digests, data }: PlanPiece): Generator<Uint8Array> {
    const path = paths.split('\0');
    const digest = digests.split('\0');
    let from = 0;
    let nextData = 0;
    for (let i = 0; i < at.length; i++) {
      const size = sizes[i] ?? 0;
      const kind = BODY_KINDS[kinds[i] ?? 0] ?? 'file';
      yield* this.#copy(headers.subarray(from, at[i]));
      from = at[i] ?? from;
      if (kind === 'bytes') yield* this.#copy(sized(data[nextData++], size));
      else yield* this.#body({ kind, path: path[i] ?? '', size, digest: digest[i] ?? '' });
      yield* this.#copy(TAR_END.subarray(0, paddingOf(size)));
    }
    yield* this.#copy(headers.subarray(from));
  }

  /** The end mark; yields the last block, which may be short. */
  *end(): Generator<Uint8Array> {
    yield* this.#copy(TAR_END);
    if (this.#used > 0) yield this.#flush();
  }

  /** Of all bytes handed out. */
  diffId(): Digest {
    return `sha256:${this.#hash.digest('hex')}`;
  }

  #flush(): Uint8Array {
    const full = this.#used === this.#block.length ? this.#block : this.#block.subarray(0, this.#used);
    this.#hash.update(full);
    this.#size += this.#used;
    this.#used = 0;
    return full;
  }

  *#copy(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length;) {
      const step = Math.min(bytes.length - at, this.#block.length - this.#used);
      this.#block.set(step === bytes.length ? bytes : bytes.subarray(at, at + step), this.#used);
      at += step;
      this.#used += step;
      if (this.#used === this.#block.length) yield this.#flush();
    }
  }

  *#body(body: Body): Generator<Uint8Array> {
    const fd = open(body);
    try {
      yield* this.#read(fd, body);
    } finally {
      closeSync(fd);
    }
  }

  *#read(fd: number, body: Body): Generator<Uint8Array> {
    const expected = body.kind === 'context-file' ? body.digest : '';
    let rest = body.size;
    let hasher: Hash | undefined;
    while (rest > 0) {
      const wanted = Math.min(rest, this.#block.length - this.#used);
      const got = read(fd, this.#block, this.#used, wanted, body);
      if (got === 0) throw changed(body);
      if (expected !== '') {
        const piece = this.#block.subarray(this.#used, this.#used + got);
        if (got === body.size) verify(body, hash('sha256', piece, 'hex'));
        else (hasher ??= createHash('sha256')).update(piece);
      }
      this.#used += got;
      rest -= got;
      if (this.#used === this.#block.length) yield this.#flush();
    }
    if (hasher !== undefined) verify(body, hasher.digest('hex'));
  }
}

/** A file whose bytes belong into the tar. */
interface Body {
  readonly kind: 'file' | 'context-file';
  /** On this machine, in tree form. */
  readonly path: string;
  readonly size: number;
  /** Empty when nobody knows it. */
  readonly digest: string;
}

function sized(data: Uint8Array | undefined, size: number): Uint8Array {
  if (data?.length === size) return data;
  throw new BuildError({ code: 'internal', message: `${data?.length ?? 0} bytes for a file of ${size}` });
}

/** A user's file may have become anything in the meantime: a link is not followed, a fifo not waited for. */
const CONTEXT_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

function open(body: Body): number {
  try {
    return openSync(encodePath(body.path), body.kind === 'context-file' ? CONTEXT_FLAGS : constants.O_RDONLY);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ELOOP' || errno === 'ENXIO') throw changed(body, error);
    throw asBuildError(error);
  }
}

function read(fd: number, block: Uint8Array, at: number, wanted: number, body: Body): number {
  try {
    return readSync(fd, block, at, wanted, null);
  } catch (error) {
    const errno = errnoOf(error);
    // A directory or a fifo by now.
    if (errno === 'EISDIR' || errno === 'EAGAIN' || errno === 'EINVAL') throw changed(body, error);
    throw asBuildError(error, `read ${body.path}`);
  }
}

function verify(body: Body, hex: string): void {
  if (body.digest !== `sha256:${hex}`) throw changed(body);
}

function changed({ kind, path }: Body, cause?: unknown): BuildError {
  if (kind === 'context-file') {
    return new BuildError({
      code: 'context',
      message: `${path} changed during the build`,
      hint: 'build again, when nothing writes to the build context',
      cause,
    });
  }
  return new BuildError({
    code: 'store',
    message: `${path} in the state directory is not what it should be`,
    hint: 'build again with --no-cache',
    cause,
  });
}
