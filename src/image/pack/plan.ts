/**
 * A tree as the pieces of its tar: headers, and which file's bytes come after which. Pieces are small enough to be made
 * while the ones before them are written.
 */
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, Digest, NodeEntry, Tree, TreeEntry, TreePath } from '../../contracts/index.ts';
import { TreeTable } from '../../store/index.ts';
import { isWhiteoutName, opaqueName, whiteoutName } from '../layer-path.ts';
import { encodeTarHeader, putTarHeader } from '../tar/write.ts';
import { BLOCK } from '../tar/types.ts';
import type { TarHeader } from '../tar/types.ts';

/** Several entries. It crosses to a thread, so bodies are columns: 100,000 objects would take half a second to copy. */
export interface PlanPiece {
  /** Headers, one after the other. */
  readonly headers: Uint8Array;
  /** The body of this number stands before this offset of `headers`. */
  readonly at: Uint32Array;
  readonly sizes: Float64Array;
  /** Index into {@link BODY_KINDS}. */
  readonly kinds: Uint8Array;
  /** Host paths (empty for `bytes`), joined with NUL. */
  readonly paths: string;
  /** Content digests, to be verified in passing where they are not empty, joined with NUL. */
  readonly digests: string;
  /** Of the bodies of kind `bytes`, in order. */
  readonly data: readonly Uint8Array[];
}

export const BODY_KINDS = ['file', 'context-file', 'bytes'] as const satisfies readonly ContentLocation['kind'][];

export interface PlanOptions {
  /** Seconds: later times become this. */
  readonly epoch?: number | undefined;
  /** A plain archive, not a layer: names that would be whiteouts are names as any other. */
  readonly plain?: boolean | undefined;
}

const PIECE_BYTES = 512 * BLOCK;
const META = { target: '', mtimeNsec: 0, major: 0, minor: 0, size: 0 };
/** As containerd writes them since 2.0: no mode, no owner, no time. */
const WHITEOUT_META = { ...META, mode: 0, uid: 0, gid: 0, mtime: 0, type: 'file' as const };

/** Paths of the files whose bytes a tar of `tree` holds, in its order; made each time one goes through them. */
export function contentPaths(tree: Tree): Iterable<TreePath> {
  const table = TreeTable.of(tree);
  return { [Symbol.iterator]: () => table.contentPaths() };
}

/** Bytes of those files. */
export function contentSizeOf(tree: Tree): number {
  let size = 0;
  for (const entry of tree.values()) if (hasBody(entry)) size += entry.size;
  return size;
}

function hasBody(entry: TreeEntry): entry is Extract<TreeEntry, { type: 'file' }> {
  return entry.type === 'file' && entry.hardlink === undefined && entry.size > 0;
}

/**
 * The tar of a layer. As BuildKit's layers (containerd, pkg/archive ChangeWriter): times are cut to whole seconds, sockets
 * and the root itself are left out, a directory's name ends in a slash, hard links follow their file. Unlike there, all
 * extended attributes of the tree are kept, and parents that the tree lacks are not added.
 *
 * @param locations Parallel to {@link contentPaths}.
 * @throws BuildError `unsupported` for a file that would be read back as a whiteout.
 */
export function* planTar(tree: Tree, locations: Iterable<ContentLocation>, options: PlanOptions): Generator<PlanPiece> {
  let piece = new PieceBuilder();
  const bodies = Iterator.from(locations);
  for (const [path, entry] of tree) {
    for (const header of headersOf(path, entry, options)) piece.addHeader(header);
    if (hasBody(entry)) {
      const from = bodies.next().value;
      if (from === undefined) throw new BuildError({ code: 'internal', message: `no bytes for ${path}` });
      piece.addBody(entry.size, entry.digest, from);
    }
    if (!piece.full) continue;
    yield piece.build();
    piece = new PieceBuilder();
  }
  yield piece.build();
}

class PieceBuilder {
  // In memory of its own: what shares Node's pool cannot be handed to a thread.
  #headers = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #length = 0;
  readonly #at: number[] = [];
  readonly #sizes: number[] = [];
  readonly #kinds: number[] = [];
  readonly #paths: string[] = [];
  readonly #digests: string[] = [];
  readonly #data: Uint8Array[] = [];

  get full(): boolean {
    return this.#length + BLOCK > this.#headers.length;
  }

  addHeader(header: TarHeader): void {
    this.#reserve(BLOCK);
    if (putTarHeader(this.#headers.subarray(this.#length, this.#length + BLOCK), header)) {
      this.#length += BLOCK;
      return;
    }
    const bytes = encodeTarHeader(header);
    this.#reserve(bytes.length);
    this.#headers.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  addBody(size: number, digest: Digest | undefined, from: ContentLocation): void {
    this.#at.push(this.#length);
    this.#sizes.push(size);
    this.#kinds.push(BODY_KINDS.indexOf(from.kind));
    this.#paths.push(from.kind === 'bytes' ? '' : from.path);
    this.#digests.push(digest ?? '');
    if (from.kind === 'bytes') this.#data.push(from.data);
  }

  build(): PlanPiece {
    return {
      headers: new Uint8Array(this.#headers.buffer, 0, this.#length),
      at: Uint32Array.from(this.#at),
      sizes: Float64Array.from(this.#sizes),
      kinds: Uint8Array.from(this.#kinds),
      paths: this.#paths.join('\0'),
      digests: this.#digests.join('\0'),
      data: this.#data,
    };
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#headers.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * this.#headers.length + bytes);
    larger.set(this.#headers.subarray(0, this.#length));
    this.#headers = larger;
  }
}

function headersOf(path: TreePath, entry: TreeEntry, { epoch, plain }: PlanOptions): readonly TarHeader[] {
  if (entry.type === 'whiteout') return [{ ...WHITEOUT_META, name: whiteoutName(path) }];
  if (entry.type === 'socket') return [];
  if (plain !== true && isWhiteoutName(path)) {
    throw new BuildError({
      code: 'unsupported',
      message: `no layer can hold the file /${path}: its name is that of a whiteout`,
      hint: 'remove it in the same RUN, or give it another name',
    });
  }
  const opaque = entry.type === 'directory' && entry.opaque === true;
  const mark = opaque ? [{ ...WHITEOUT_META, name: opaqueName(path) }] : [];
  return path === '' ? mark : [headerOf(path, entry, epoch), ...mark];
}

function headerOf(path: TreePath, entry: Exclude<NodeEntry, { type: 'socket' }>, epoch: number | undefined): TarHeader {
  const { mode, uid, gid, xattrs } = entry;
  const mtime = clampTime(entry.mtime, epoch);
  const meta = { ...META, mode, uid, gid, mtime, xattrs };
  switch (entry.type) {
    case 'file':
      return entry.hardlink === undefined
        ? { ...meta, type: 'file', name: path, size: entry.size }
        : { ...meta, type: 'hardlink', name: path, target: entry.hardlink };
    case 'symlink':
      return { ...meta, type: 'symlink', name: path, target: entry.target };
    case 'directory':
      return { ...meta, type: 'directory', name: `${path}/` };
    case 'fifo':
      return { ...meta, type: 'fifo', name: path };
    case 'char-device':
    case 'block-device':
      return { ...meta, type: entry.type, name: path, major: entry.major, minor: entry.minor };
  }
}

export function clampTime(mtime: number, epoch: number | undefined): number {
  return epoch === undefined ? mtime : Math.min(mtime, epoch);
}

/** Whether any time of the tree is later than `epoch`. */
export function isLaterThan(tree: Tree, epoch: number): boolean {
  for (const entry of tree.values()) {
    if (entry.type === 'whiteout') continue;
    if (entry.mtime > epoch) return true;
  }
  return false;
}
